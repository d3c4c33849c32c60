# SPDX-License-Identifier: Apache-2.0
"""What tests of the server core share: a clock that stands still, small images, a data folder."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from cais_registry.model.digest import Digest
from cais_registry.model.limits import Limits
from cais_registry.model.manifest import OCI_IMAGE, OCI_INDEX
from cais_registry.model.names import RepoName, Tag
from cais_registry.model.policy import Policy
from cais_registry.model.run import Run, RunState
from cais_registry.services.chunks import Chunk
from cais_registry.services.core import Core, open_core
from cais_registry.services.failpoints import no_failpoint
from cais_registry.services.uploads import UploadRef
from cais_registry.stores.blobstore import MakeStore
from cais_registry.stores.commits import Hold
from cais_registry.stores.usage_rows import counted_bytes, stored_bytes

HOUR = timedelta(hours=1)
REPO = RepoName.parse("team/app")
OTHER = RepoName.parse("team/other")


@dataclass
class Clock:
    """Gives microseconds; moves only when told to."""

    now: int = 1_800_000_000_000_000

    def __call__(self) -> int:
        return self.now

    def forward(self, time: timedelta) -> None:
        self.now += round(time.total_seconds() * 1_000_000)


@dataclass
class World:
    """An open core with everything a test turns."""

    data: Path
    clock: Clock = field(default_factory=Clock)
    policy: Policy = field(default_factory=lambda: Policy(push_lease=HOUR, undelete_window=HOUR))
    limits: Limits = field(default_factory=Limits)
    failpoint: Callable[[str], None] = no_failpoint
    database_url: str | None = None
    holder: str | None = None
    store: MakeStore | None = None

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Core]:
        core = await open_core(
            self.data,
            database_url=self.database_url,
            policy=lambda: self.policy,
            limits=self.limits,
            clock=self.clock,
            failpoint=self.failpoint,
            hold=None if self.holder is None else Hold(name=self.holder),
            store=self.store,
        )
        try:
            yield core
        finally:
            await core.close()

    def files(self) -> list[str]:
        """All files with bytes of blobs, uploads and manifests."""
        found = [
            str(path.relative_to(self.data))
            for folder in ("blobs", "uploads", "manifests")
            for path in (self.data / folder).rglob("*")
            if path.is_file()
        ]
        return sorted(found)


async def body(content: bytes, size: int = 1000) -> AsyncIterator[bytes]:
    for begin in range(0, len(content), size):
        yield content[begin : begin + size]


def chunk(content: bytes, **more: Any) -> Chunk:
    return Chunk(body=body(content), **more)


async def push_blob(core: Core, content: bytes, repo: RepoName = REPO) -> Digest:
    digest = Digest.of(content)
    await core.uploads.push(repo, "ci", digest, chunk(content))
    return digest


async def begin_upload(core: Core, principal: str | None = "ci") -> UploadRef:
    status = await core.uploads.start(REPO, principal)
    assert status.size == 0
    return UploadRef(repo=REPO, principal=principal, id=status.id)


async def stored(core: Core) -> int:
    """Bytes that are stored; what is kept has to be what is counted."""
    kept = await core.database.read(stored_bytes)
    assert kept == await core.database.read(counted_bytes)
    return kept


def descriptor(content: bytes, media_type: str = "application/octet-stream") -> dict[str, Any]:
    return {"mediaType": media_type, "digest": str(Digest.of(content)), "size": len(content)}


def image(config: bytes, *layers: bytes, subject: bytes | None = None, **more: Any) -> bytes:
    document: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": OCI_IMAGE,
        "config": descriptor(config, "application/vnd.oci.image.config.v1+json"),
        "layers": [descriptor(layer) for layer in layers],
        **more,
    }
    if subject is not None:
        document["subject"] = descriptor(subject, OCI_IMAGE)
    return json.dumps(document).encode()


def index(*children: bytes, **more: Any) -> bytes:
    manifests = [descriptor(child, OCI_IMAGE) for child in children]
    document = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests, **more}
    return json.dumps(document).encode()


async def put(core: Core, content: bytes, *tags: str, repo: RepoName = REPO) -> Digest:
    """Push a manifest by digest, and point tags at it."""
    digest = Digest.of(content)
    media_type = json.loads(content)["mediaType"]
    await core.manifests.put(repo, digest, content, media_type, tags=[Tag(t) for t in tags])
    return digest


async def push_image(
    core: Core, name: str, *tags: str, repo: RepoName = REPO, layers: Sequence[bytes] = ()
) -> bytes:
    """Push an image with a config of its own; returns the manifest."""
    config = json.dumps({"name": name}).encode()
    for content in (config, *layers):
        await push_blob(core, content, repo)
    content = image(config, *layers)
    await put(core, content, *tags, repo=repo)
    return content


async def collect(core: Core, *, dry_run: bool = False) -> Run:
    """Run garbage collection to its end; it has to succeed."""
    started = await core.collector.start(dry_run=dry_run)
    await core.collector.wait()
    run = await core.collector.run(started.id)
    assert run is not None
    assert run.state is RunState.SUCCEEDED, run.message
    return run


async def count(core: Core, table: str) -> int:
    rows = await core.database.read(
        lambda connection: connection.execute(f"SELECT COUNT(*) AS n FROM {table}")  # noqa: S608 - names of tables in tests
    )
    return int(rows[0]["n"])
