# SPDX-License-Identifier: Apache-2.0
"""Any schedule of pushes, mounts, deletions, collections and crashes keeps what must be kept.

Hypothesis drives the real services over a real folder. A crash stops the program at one of the
steps of docs/adr/0006: nothing that comes after it is done, then the folder is opened anew.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from cais_registry.model.digest import Digest
from cais_registry.model.errors import RegistryError
from cais_registry.model.names import RepoName, Tag
from cais_registry.model.policy import Policy
from cais_registry.model.run import RunState
from cais_registry.services.uploads import UploadRef
from core_support import HOUR, OTHER, REPO, Clock, World, chunk, collect, count, image, index, put

T = TypeVar("T")
Key = tuple[RepoName, Digest]

REPOS = st.sampled_from([REPO, OTHER])
CONTENTS = st.sampled_from([b"", b"one", b"two"])
TAGS = st.sampled_from(["a", "b"])
CRASH = st.none() | st.integers(0, 6)
PICK = st.integers(0, 10_000)
NOTHING = timedelta(0)
MICROSECOND = timedelta(microseconds=1)


class Crash(BaseException):
    """Stops the program where it stands."""


class Schedule(RuleBasedStateMachine):
    """What was told to clients, and the registry that has to stand by it."""

    make_database: Callable[[], str | None] = staticmethod(lambda: None)

    @initialize(window=st.sampled_from([NOTHING, HOUR]))
    def begin(self, window: timedelta) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.runner = asyncio.Runner()
        self.policy = Policy(push_lease=HOUR, undelete_window=window)
        self.clock = Clock()
        self.steps: int | None = None
        self.database_url = self.make_database()
        self.dead = False
        self.promised: dict[Key, int] = {}
        self.manifests: dict[Key, bytes] = {}
        self.tags: dict[tuple[RepoName, str], Digest] = {}
        self.gone: dict[Key, tuple[bytes, int]] = {}  # deleted by digest, when
        self.open()

    # --- the program, its crashes and restarts

    def open(self) -> None:
        self.world = World(
            self.folder,
            clock=self.clock,
            policy=self.policy,
            failpoint=self.failpoint,
            database_url=self.database_url,
        )
        self.stack = AsyncExitStack()
        self.steps, self.dead = None, False
        self.core = self.runner.run(self.stack.enter_async_context(self.world.open()))
        for thing, name in (
            (self.core.database, "write"),
            (vars(self.core.store)["_files"], "delete"),
            (vars(self.core.store)["_files"], "publish"),
            (vars(self.core.store)["_files"], "write"),
        ):
            setattr(thing, name, self.mortal(getattr(thing, name)))

    def mortal(self, act: Callable[..., T]) -> Callable[..., T]:
        """Whoever is dead does nothing any more, whatever its code would do to clean up."""

        def guarded(*args: Any, **more: Any) -> T:
            if self.dead:
                raise Crash
            return act(*args, **more)

        return guarded

    def failpoint(self, step: str) -> None:
        assert step
        if self.steps is not None:
            self.steps -= 1
            if self.steps < 0:
                self.dead = True
        if self.dead:
            raise Crash

    def do(self, work: Awaitable[T], crash: int | None = None) -> T | None:
        """Do something that may be refused, and may crash at some step."""
        self.steps = crash
        result: T | None = None

        async def attempt() -> None:
            nonlocal result
            with suppress(RegistryError, Crash):
                result = await work

        self.runner.run(attempt())
        self.steps = None
        if self.dead:
            self.restart()
            return None
        return result

    @rule()
    def restart(self) -> None:
        with suppress(Crash):
            self.runner.run(self.stack.aclose())
        self.core.database.close()
        self.open()

    # --- what clients do

    @rule(repo=REPOS, content=CONTENTS, crash=CRASH)
    def push(self, repo: RepoName, content: bytes, crash: int | None) -> None:
        digest = Digest.of(content)
        blob = self.do(self.core.uploads.push(repo, None, digest, chunk(content)), crash)
        if blob is not None:
            self.promised[repo, digest] = self.clock.now

    @rule(repo=REPOS, content=CONTENTS, crash=CRASH, size=st.integers(0, 5), end=st.booleans())
    def upload(
        self, repo: RepoName, content: bytes, crash: int | None, size: int, end: bool
    ) -> None:
        async def stream() -> bool:
            status = await self.core.uploads.start(repo, None)
            ref = UploadRef(repo=repo, principal=None, id=status.id)
            await self.core.uploads.append(ref, chunk(content[:size]))
            if end:
                await self.core.uploads.finish(ref, Digest.of(content), chunk(content[size:]))
            return end

        if self.do(stream(), crash):
            self.promised[repo, Digest.of(content)] = self.clock.now

    @rule(repo=REPOS, source=REPOS, content=CONTENTS, crash=CRASH)
    def mount(self, repo: RepoName, source: RepoName, content: bytes, crash: int | None) -> None:
        digest = Digest.of(content)
        work = self.core.blobs.mount(repo, digest, source=source, readable=lambda _: True)
        if self.do(work, crash):
            self.promised[repo, digest] = self.clock.now

    @rule(repo=REPOS, content=CONTENTS)
    def head(self, repo: RepoName, content: bytes) -> None:
        digest = Digest.of(content)
        if self.do(self.core.blobs.stat(repo, digest, promise=True)) is not None:
            self.promised[repo, digest] = self.clock.now

    @rule(
        repo=REPOS,
        blobs=st.lists(CONTENTS, min_size=1, max_size=3),
        tags=st.lists(TAGS, max_size=1),
        subject=st.none() | PICK,
    )
    def put_image(
        self, repo: RepoName, blobs: list[bytes], tags: list[str], subject: int | None
    ) -> None:
        about = self.pick(repo, subject) if subject is not None else None
        self.put(repo, image(*blobs, subject=about), tags)

    @rule(repo=REPOS, blobs=st.lists(CONTENTS, min_size=1, max_size=2), tag=st.none() | TAGS)
    def push_image(self, repo: RepoName, blobs: list[bytes], tag: str | None) -> None:
        """What most clients do: look for each blob, send it if it is not there, then the image."""
        for content in blobs:
            self.head(repo, content)
            if (repo, Digest.of(content)) not in self.promised:
                self.push(repo, content, None)
        self.put(repo, image(*blobs), [tag] if tag else [])

    @rule(repo=REPOS, blobs=st.lists(CONTENTS, min_size=1, max_size=2), tag=TAGS)
    def push_platforms(self, repo: RepoName, blobs: list[bytes], tag: str) -> None:
        """An index of images that have no tag, or one that goes away."""
        for content in blobs:
            self.push_image(repo, [content], "child")
        self.put(repo, index(*(image(content) for content in blobs)), [tag])
        self.delete_tag(repo, "child")

    @rule(repo=REPOS, number=PICK, content=CONTENTS)
    def sign(self, repo: RepoName, number: int, content: bytes) -> None:
        about = self.pick(repo, number)
        if about is not None:
            self.push(repo, content, None)
            self.put(repo, image(content, subject=about), [])

    @rule(repo=REPOS, children=st.lists(PICK, max_size=2), tags=st.lists(TAGS, max_size=1))
    def put_index(self, repo: RepoName, children: list[int], tags: list[str]) -> None:
        found = [child for pick in children if (child := self.pick(repo, pick)) is not None]
        self.put(repo, index(*found), tags)

    def pick(self, repo: RepoName, number: int) -> bytes | None:
        known = [content for (where, _), content in self.manifests.items() if where == repo]
        return known[number % len(known)] if known else None

    def put(self, repo: RepoName, content: bytes, tags: list[str]) -> None:
        digest = self.do(put(self.core, content, *tags, repo=repo))
        if digest is None:
            return
        self.manifests[repo, digest] = content
        for tag in tags:
            self.tags[repo, tag] = digest
        for blob in blobs_of(content):
            self.promised.pop((repo, blob), None)  # used: from now on the manifest keeps it

    @rule(repo=REPOS, tag=TAGS)
    def delete_tag(self, repo: RepoName, tag: str) -> None:
        self.do(self.core.manifests.delete(repo, Tag(tag)))
        self.tags.pop((repo, tag), None)

    @rule(repo=REPOS, number=PICK)
    def delete_manifest(self, repo: RepoName, number: int) -> None:
        content = self.pick(repo, number)
        if content is None:
            return
        digest = Digest.of(content)
        self.do(self.core.manifests.delete(repo, digest))
        if not self.has_manifest(repo, digest):
            self.gone[repo, digest] = self.manifests.pop((repo, digest)), self.clock.now
            self.tags = {
                key: target
                for key, target in self.tags.items()
                if (key[0], target) != (repo, digest)
            }

    @rule(repo=REPOS, number=PICK, tag=st.none() | TAGS)
    def bring_back(self, repo: RepoName, number: int, tag: str | None) -> None:
        """What was deleted within the window comes back whole, whatever happened since."""
        gone = [digest for where, digest in self.gone if where == repo]
        if tag is None and not gone:
            return
        reference = Tag(tag) if tag is not None else gone[number % len(gone)]
        restored = self.do(self.core.undelete.bring_back(repo, reference))
        if tag is None and not self.has_manifest(repo, gone[number % len(gone)]):
            _, since = self.gone[repo, gone[number % len(gone)]]
            assert self.clock.now >= since + self.policy.undelete_window // MICROSECOND
        if restored is not None:
            assert not any((repo, name) in self.tags for name in restored.tags)
            self.tags |= {(repo, name): restored.digest for name in restored.tags}
        for key, (content, _) in list(self.gone.items()):  # an index brings its parts with it
            if self.has_manifest(*key):
                self.manifests[key] = content
                del self.gone[key]

    @rule(repo=REPOS, content=CONTENTS)
    def delete_blob(self, repo: RepoName, content: bytes) -> None:
        digest = Digest.of(content)
        self.do(self.core.blobs.delete(repo, digest))
        if self.read(repo, digest) is None:
            self.promised.pop((repo, digest), None)

    @rule(minutes=st.sampled_from([1, 20, 50, 70, 60 * 30]))
    def wait(self, minutes: int) -> None:
        self.clock.forward(timedelta(minutes=minutes))

    @rule(crash=CRASH)
    def collect(self, crash: int | None) -> None:
        async def run() -> None:
            started = await self.core.collector.start()
            task = self.core.collector._task
            assert task is not None
            await task
            ended = await self.core.collector.run(started.id)
            assert ended is not None
            assert ended.state is RunState.SUCCEEDED, ended.message

        kept = self.kept()
        self.do(run(), crash)
        for repo, digest in set(self.manifests) - kept:
            if not self.has_manifest(repo, digest):
                del self.manifests[repo, digest]  # was free to go; a push may bring it back

    @rule(minutes=st.sampled_from([0, 40, 80]))
    def tidy(self, minutes: int) -> None:
        self.wait(minutes)
        self.collect(None)

    @rule(repo=REPOS, minutes=st.sampled_from([0, 80]), content=CONTENTS)
    def retire(self, repo: RepoName, minutes: int, content: bytes) -> None:
        """Delete all tags; a pusher may just have been told that a blob exists."""
        for tag in ("a", "b"):
            self.delete_tag(repo, tag)
        self.head(repo, content)
        self.tidy(minutes)

    @rule(crash=CRASH)
    def housekeeping(self, crash: int | None) -> None:
        self.do(self.core.housekeeping.tick(), crash)

    # --- what has to hold

    def has_manifest(self, repo: RepoName, digest: Digest) -> bool:
        return self.do(self.core.manifests.stat(repo, digest)) is not None

    def read(self, repo: RepoName, digest: Digest) -> bytes | None:
        blob = self.do(self.core.blobs.open(repo, digest))
        if blob is None:
            return None
        assert blob.content.fd is not None
        content = os.pread(blob.content.fd, blob.size + 1, 0)
        blob.content.close()
        return content

    def kept(self) -> set[Key]:
        """Manifests that must be there: tagged ones, children of these, what refers to these."""
        found = {(repo, digest) for (repo, _), digest in self.tags.items()}
        while True:
            more = set(found)
            for (repo, digest), content in self.manifests.items():
                document = json.loads(content)
                if (repo, digest) in found:
                    more |= {
                        (repo, Digest.parse(m["digest"])) for m in document.get("manifests", [])
                    }
                subject = document.get("subject")
                if subject and (repo, Digest.parse(subject["digest"])) in found:
                    more.add((repo, digest))
            if more == found:
                return found
            found = more

    @precondition(lambda self: not self.dead)
    @invariant()
    def nothing_that_is_referred_to_is_lost(self) -> None:
        for repo, digest in self.kept():
            found = self.do(self.core.manifests.get(repo, digest))
            assert found is not None, f"manifest {digest} of {repo} is lost"
            for blob in blobs_of(found.content):
                content = self.read(repo, blob)
                assert content is not None, f"blob {blob} of {repo} is lost"
                assert Digest.of(content) == blob

    @invariant()
    def what_a_pusher_was_told_is_there_for_the_lease(self) -> None:
        for (repo, digest), since in self.promised.items():
            if self.clock.now < since + 3_600_000_000:
                assert self.read(repo, digest) is not None, f"{digest} of {repo} was promised"

    def teardown(self) -> None:
        if not hasattr(self, "core"):
            return
        try:
            self.nothing_is_left()
        finally:
            self.runner.run(self.stack.aclose())
            self.runner.close()
            shutil.rmtree(self.folder)

    def nothing_is_left(self) -> None:
        """Delete everything: after all windows and leases not a byte is left."""
        for _ in range(len(self.manifests) + 1):  # parts of an index only after the index
            for repo, digest in list(self.manifests):
                self.do(self.core.manifests.delete(repo, digest))
        for _ in range(2):
            self.clock.forward(timedelta(days=3))
            self.runner.run(collect(self.core))
        tables = "manifest", "repo_blob", "blob", "upload", "tombstone", "gc_queue", "repository"
        for table in tables:
            assert self.runner.run(count(self.core, table)) == 0, table
        assert self.world.files() == []


def blobs_of(content: bytes) -> set[Digest]:
    document = json.loads(content)
    descriptors = [document["config"], *document["layers"]] if "config" in document else []
    return {Digest.parse(descriptor["digest"]) for descriptor in descriptors}


TestSchedule = Schedule.TestCase
TestSchedule.settings = settings(
    max_examples=60,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
