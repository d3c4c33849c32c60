# SPDX-License-Identifier: Apache-2.0
"""Uploads over two servers that share metadata and a bucket; no request has to come back to one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from obstore.store import MemoryStore

from cais_registry.model.digest import Digest
from cais_registry.model.errors import BlobUploadUnknown, QuotaExceeded, UploadBusy
from cais_registry.model.policy import Policy
from cais_registry.services.core import Core, open_core
from cais_registry.services.failpoints import Failpoint, no_failpoint
from cais_registry.services.uploads import Chunk
from cais_registry.stores.blob_rows import Commit, Committed, commit_upload
from cais_registry.stores.bucket import Bucket
from cais_registry.stores.layout import blob_key, upload_key
from cais_registry.stores.object_store import ObjectStore
from cais_registry.stores.tombstone_rows import oldest
from core_support import REPO, begin_upload, chunk, collect, count, push_blob


@asynccontextmanager
async def server(
    data: Path,
    objects: MemoryStore,
    failpoint: Failpoint = no_failpoint,
    policy: Callable[[], Policy] = Policy,
) -> AsyncIterator[Core]:
    core = await open_core(
        data,
        store=lambda pool: ObjectStore(Bucket(objects), pool),
        failpoint=failpoint,
        policy=policy,
    )
    try:
        yield core
    finally:
        await core.close()


async def read(core: Core, digest: Digest) -> bytes:
    blob = await core.blobs.open(REPO, digest)
    return b"".join([piece async for piece in blob.content.read(0, blob.size)])


def keys(objects: MemoryStore) -> list[str]:
    return [entry["path"] for entry in objects.list().collect()]


async def test_an_upload_goes_on_and_ends_on_another_server(tmp_path: Path) -> None:
    objects = MemoryStore()
    async with server(tmp_path, objects) as one, server(tmp_path, objects) as two:
        ref = await begin_upload(one)
        await one.uploads.append(ref, chunk(b"first"))
        assert (await two.uploads.status(ref)).size == 5
        await two.uploads.append(ref, chunk(b"second", start=5))
        await one.uploads.append(ref, chunk(b"third", start=11))
        digest = Digest.of(b"firstsecondthird")
        await two.uploads.finish(ref, digest)
        assert await read(one, digest) == b"firstsecondthird"
        assert keys(objects) == [blob_key(digest, ref.id.value)]


async def test_of_two_servers_that_take_a_chunk_at_once_one_wins(tmp_path: Path) -> None:
    objects, inside, on = MemoryStore(), asyncio.Event(), asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield b"slow"
        inside.set()
        await on.wait()

    async with server(tmp_path, objects) as one, server(tmp_path, objects) as two:
        ref = await begin_upload(one)
        loser = asyncio.create_task(one.uploads.append(ref, Chunk(body=slow())))
        await inside.wait()
        await two.uploads.append(ref, chunk(b"winner"))
        on.set()
        with pytest.raises(UploadBusy):
            await loser
        assert (await one.uploads.status(ref)).size == 6
        digest = Digest.of(b"winner")
        await one.uploads.finish(ref, digest)
        assert await read(two, digest) == b"winner"
        assert keys(objects) == [blob_key(digest, ref.id.value)]


async def test_a_second_end_of_an_upload_leaves_the_blob_of_the_first_alone(tmp_path: Path) -> None:
    objects = MemoryStore()
    async with server(tmp_path, objects) as one:
        ref = await begin_upload(one)
        await one.uploads.append(ref, chunk(b"bytes"))
        digest, name = Digest.of(b"bytes"), ref.id.value
        await one.uploads.finish(ref, digest)
        late = Commit(
            upload=name, spare=upload_key(name), repo=REPO, digest=digest, size=5,
            key=blob_key(digest, name), broken=None, leaves_spare=True,
        )  # fmt: skip
        outcome = await one.database.write(lambda connection: commit_upload(connection, late))
        assert outcome is Committed.TAKEN
        buried = await one.database.read(lambda connection: oldest(connection, 10))
        assert [key for key, _ in buried if key == late.key] == []
        with pytest.raises(BlobUploadUnknown):
            await one.uploads.finish(ref, digest)
        await collect(one)
        assert await read(one, digest) == b"bytes"


async def test_a_blob_in_one_request_goes_straight_to_its_key_also_an_empty_one(
    tmp_path: Path,
) -> None:
    objects = MemoryStore()
    async with server(tmp_path, objects) as one:
        for content in (b"", b"content"):
            digest = await push_blob(one, content)
            assert await read(one, digest) == content
            await push_blob(one, content)  # the second time its bytes are dropped
        assert len(keys(objects)) == 2


async def test_an_upload_that_the_quota_does_not_take_leaves_no_object(tmp_path: Path) -> None:
    objects, quota = MemoryStore(), [100]

    async def shrinking() -> AsyncIterator[bytes]:
        yield b"fits at first"
        quota[0] = 1

    async with server(tmp_path, objects, policy=lambda: Policy(quota=quota[0])) as core:
        ref = await begin_upload(core)
        await core.uploads.append(ref, chunk(b"a" * 60))
        with pytest.raises(QuotaExceeded):
            await core.uploads.append(ref, chunk(b"a" * 60, start=60))
        digest = Digest.of(b"fits at first")
        with pytest.raises(QuotaExceeded):  # whole in the bucket before its transaction
            await core.uploads.push(REPO, "ci", digest, Chunk(body=shrinking()))
        quota[0] = 100
        ref = await begin_upload(core)
        with pytest.raises(QuotaExceeded):
            await core.uploads.finish(ref, digest, Chunk(body=shrinking()))
        assert keys(objects) == []
        assert await count(core, "upload") == 0
        assert await count(core, "blob") == 0
