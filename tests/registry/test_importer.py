# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from cais_registry.model.digest import Digest
from cais_registry.model.errors import StorageFull
from cais_registry.model.imported import Imported
from cais_registry.model.names import RepoName, Tag
from cais_registry.services.checker import CheckOptions
from cais_registry.services.core import Core
from cais_registry.services.importer import Importer
from cais_registry.services.tree_source import TreeSource
from cais_registry.stores.distribution_tree import NoTree, Tree
from cais_registry.stores.files import Files
from core_support import World, image, index

APP = RepoName.parse("team/app")
LAYER = b"layer" * 100


class Source:
    """Writes a folder as Distribution does."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.top = root / "docker" / "registry" / "v2"
        for name in ("blobs", "repositories"):
            (self.top / name).mkdir(parents=True)

    def blob(self, content: bytes) -> Path:
        digest = Digest.of(content)
        folder = self.top / "blobs" / "sha256" / digest.encoded[:2] / digest.encoded
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "data").write_bytes(content)
        return folder / "data"

    def link(self, path: str, content: str) -> Path:
        link = self.top / "repositories" / path / "link"
        link.parent.mkdir(parents=True, exist_ok=True)
        link.write_text(content)
        return link

    def manifest(self, repo: str, content: bytes, *tags: str) -> Digest:
        self.blob(content)
        digest = Digest.of(content)
        self.link(f"{repo}/_manifests/revisions/sha256/{digest.encoded}", str(digest))
        for tag in tags:
            self.link(f"{repo}/_manifests/tags/{tag}/current", str(digest))
        return digest

    def image(self, repo: str, name: str, *tags: str) -> bytes:
        config = json.dumps({"name": name}).encode()
        self.blob(config)
        self.blob(LAYER)
        content = image(config, LAYER)
        self.manifest(repo, content, *tags)
        return content

    def files(self) -> dict[str, tuple[bytes, int]]:
        return {
            str(path): (path.read_bytes(), path.stat().st_mtime_ns)
            for path in self.root.rglob("*")
            if path.is_file()
        }


Adopt = Callable[[Path, str, Digest], int]


async def run(world: World, core: Core, source: Source, adopt: Adopt | None = None) -> Imported:
    done, adopt = Imported(), adopt or Files(world.data).adopt
    importer = Importer(core.blobs, core.uploads, core.manifests, adopt)
    await importer.run(TreeSource(Tree(source.root)), done)
    return done


async def check_nothing_is_half_done(world: World, core: Core) -> None:
    assert [name for name in world.files() if name.startswith("uploads/")] == []
    assert await core.database.read(lambda one: one.execute("SELECT id FROM upload")) == []
    assert not (await core.checker.run(CheckOptions(digests=True))).found


async def test_everything_comes_over_and_the_source_stays_as_it_is(tmp_path: Path) -> None:
    source, world = Source(tmp_path / "old"), World(tmp_path / "new")
    one = source.image("team/app", "one", "v1", "latest")
    two = source.image("team/app", "two")
    both = index(one, two)
    source.manifest("team/app", both, "all")
    source.image("other", "one", "v1")
    before = source.files()
    async with world.open() as core:
        done = await run(world, core, source)
        for tag, content in (("v1", one), ("latest", one), ("all", both)):
            assert (await core.manifests.get(APP, Tag(tag))).content == content
        await core.manifests.get(APP, Digest.of(two))  # untagged ones too
        assert (await core.manifests.get(RepoName("other"), Tag("v1"))).content == one
        found = await core.checker.run(CheckOptions(digests=True))
    assert (done.repositories, done.manifests, done.tags, done.failed) == (2, 4, 4, 0)
    assert (done.blobs_linked, done.blobs_copied) == (3, 0)
    assert not found.found
    assert source.files() == before


async def test_the_second_time_there_is_nothing_to_do(tmp_path: Path) -> None:
    source, world = Source(tmp_path / "old"), World(tmp_path / "new")
    source.image("team/app", "one", *(f"v{number}" for number in range(250)))
    async with world.open() as core:
        assert (await run(world, core, source)).tags == 250
        files = world.files()
        again = await run(world, core, source)
    assert (again.manifests, again.tags, again.blobs_linked, again.bytes) == (0, 0, 0, 0)
    assert (again.present, again.failed) == (3, 0)
    assert world.files() == files


async def test_bytes_are_shared_and_outlive_the_source(tmp_path: Path) -> None:
    source, world = Source(tmp_path / "old"), World(tmp_path / "new")
    source.image("team/app", "one", "v1")
    path = source.blob(LAYER)
    async with world.open() as core:
        await run(world, core, source)
        (ours,) = (tmp_path / "new" / "blobs").rglob(f"{Digest.of(LAYER).encoded}/*")
        assert ours.stat().st_ino == path.stat().st_ino
        path.unlink()
        assert ours.read_bytes() == LAYER


async def test_where_nothing_can_be_linked_bytes_are_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cross_device(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr("os.link", cross_device)
    source, world = Source(tmp_path / "old"), World(tmp_path / "new")
    source.image("team/app", "one", "v1")
    async with world.open() as core:
        done = await run(world, core, source)
        assert not (await core.checker.run(CheckOptions(digests=True))).found
    assert (done.blobs_linked, done.blobs_copied, done.failed) == (0, 2, 0)
    assert [name for name in world.files() if name.startswith("uploads/")] == []


async def test_what_is_damaged_is_told_and_the_rest_comes_over(tmp_path: Path) -> None:
    source, world = Source(tmp_path / "old"), World(tmp_path / "new")
    source.image("team/app", "good", "good")
    lost = image(b"{}", b"never pushed")
    source.manifest("team/app", lost, "lost")
    bent = json.dumps({"name": "bent"}).encode()
    source.manifest("team/app", image(bent, LAYER), "bent")
    source.blob(bent).write_bytes(b"other bytes")
    gone = source.manifest("team/app", b"{}", "gone")
    (source.top / "blobs" / "sha256" / gone.encoded[:2] / gone.encoded / "data").unlink()
    old = b'{"schemaVersion": 1, "fsLayers": []}'
    source.manifest("team/app", old, "schema-1")
    source.link("team/app/_manifests/tags/empty/current", "")
    source.link("team/app/_manifests/tags/-bad-/current", str(Digest.of(old)))
    source.image("Upper/Case", "x", "v1")
    async with world.open() as core:
        done = await run(world, core, source)
        tags = await core.manifests.stat(APP, Tag("good"))
        assert not (await core.checker.run(CheckOptions(digests=True))).found
    told = "\n".join(done.problems)
    assert tags.size > 0
    assert done.manifests == 1
    for says in (
        "is missing in the source",
        "is damaged in the source",
        "is left out: something of it is missing",
        "schema 1",
        "tag empty: its link",
        "tag '-bad-' is not allowed",
        "repository name 'Upper/Case'",
    ):
        assert says in told, says
    assert [name for name in world.files() if name.startswith("uploads/")] == []


async def test_blobs_of_several_manifests_come_at_once_and_shared_ones_once(
    tmp_path: Path,
) -> None:
    source, world = Source(tmp_path / "old"), World(tmp_path / "new")
    for number in range(40):
        source.image("team/app", f"{number}", f"v{number}")
    real, meeting = Files(world.data).adopt, threading.Barrier(3)  # of two blobs each
    left = iter(range(3))

    def adopt(path: Path, upload: str, digest: Digest) -> int:
        if next(left, None) is not None:
            meeting.wait(60)
        return real(path, upload, digest)

    async with world.open() as core:
        done = await run(world, core, source, adopt)
        await check_nothing_is_half_done(world, core)
    assert (done.manifests, done.tags, done.failed) == (40, 40, 0)
    assert (done.blobs_linked, done.blobs_copied, done.present) == (41, 0, 0)


async def test_a_full_disk_ends_it_with_nothing_half_done_and_it_goes_on(tmp_path: Path) -> None:
    source, world = Source(tmp_path / "old"), World(tmp_path / "new")
    for number in range(40):
        source.image("team/app", f"{number}", f"v{number}")
    real, left = Files(world.data).adopt, iter(range(10))

    def adopt(path: Path, upload: str, digest: Digest) -> int:
        size = real(path, upload, digest)
        if next(left, None) is None:
            raise StorageFull("the disk is full")
        return size

    async with world.open() as core:
        with pytest.raises(StorageFull):
            await run(world, core, source, adopt)
        await check_nothing_is_half_done(world, core)
        done = await run(world, core, source)
        await check_nothing_is_half_done(world, core)
        for number in range(40):
            await core.manifests.stat(APP, Tag(f"v{number}"))
    assert 0 < done.blobs_linked < 41
    assert done.failed == 0


async def test_who_interrupts_it_leaves_nothing_half_done(tmp_path: Path) -> None:
    source, world = Source(tmp_path / "old"), World(tmp_path / "new")
    for number in range(10):
        source.image("team/app", f"{number}", f"v{number}")
    real, begun, go = Files(world.data).adopt, threading.Event(), threading.Event()

    def adopt(path: Path, upload: str, digest: Digest) -> int:
        begun.set()
        go.wait(60)
        return real(path, upload, digest)

    async with world.open() as core:
        running = asyncio.create_task(run(world, core, source, adopt))
        await asyncio.to_thread(begun.wait)
        running.cancel()
        await asyncio.sleep(0)
        go.set()
        with pytest.raises(asyncio.CancelledError):
            await running
        await check_nothing_is_half_done(world, core)
        done = await run(world, core, source)
    assert (done.manifests, done.blobs_linked, done.failed) == (10, 11, 0)


@pytest.mark.parametrize("missing", ["", "blobs", "repositories"])
def test_a_folder_that_is_no_registry_is_refused(tmp_path: Path, missing: str) -> None:
    if missing:
        source = Source(tmp_path)
        (source.top / missing).rmdir()
    with pytest.raises(NoTree, match="is not the folder of a registry: there is no"):
        Tree(tmp_path)
