# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
import errno
import os
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from cais_registry.model.digest import Digest, UploadId
from cais_registry.model.errors import (
    BlobUnknown,
    BlobUploadUnknown,
    DigestInvalid,
    RangeInvalid,
    RegistryError,
    SizeInvalid,
    StorageFull,
    UploadBusy,
)
from cais_registry.services.chunks import Chunk
from cais_registry.services.core import Core
from cais_registry.services.uploads import UploadRef
from cais_registry.stores.layout import DATABASE
from cais_registry.stores.upload_rows import UploadRow
from core_support import OTHER, REPO, World, begin_upload, body, chunk, collect, count, push_blob

CONTENT = bytes(range(256)) * 3000  # 768 kB: more than one gathered write
DIGEST = Digest.of(CONTENT)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "data")


async def read(core: Core, digest: Digest) -> bytes:
    blob = await core.blobs.open(REPO, digest)
    try:
        assert blob.content.fd is not None
        return os.pread(blob.content.fd, blob.size + 1, 0)
    finally:
        blob.content.close()


async def test_a_streamed_upload_becomes_a_blob(world: World) -> None:
    async with world.open() as core:
        ref = await begin_upload(core)
        assert (await core.uploads.append(ref, chunk(CONTENT))).size == len(CONTENT)
        assert (await core.uploads.finish(ref, DIGEST)).size == len(CONTENT)
        assert await read(core, DIGEST) == CONTENT
        assert await count(core, "upload") == 0
    path = f"blobs/sha256/{DIGEST.encoded[:2]}/{DIGEST.encoded}/{ref.id}"
    assert world.files() == [path]


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
@pytest.mark.parametrize("hint", ["sha256", "sha512"])
async def test_chunks_of_any_number_become_a_blob_of_either_digest(
    world: World, algorithm: str, hint: str
) -> None:
    digest = Digest.of(CONTENT, algorithm)
    async with world.open() as core:
        status = await core.uploads.start(REPO, None, algorithm=hint)
        ref = UploadRef(repo=REPO, principal=None, id=status.id)
        for begin in range(0, 700_000, 100_000):
            piece = CONTENT[begin : begin + 100_000]
            await core.uploads.append(ref, chunk(piece, start=begin, length=len(piece)))
            assert (await core.uploads.status(ref)).size == begin + len(piece)
        rest = CONTENT[700_000:]
        await core.uploads.finish(ref, digest, chunk(rest, start=700_000, length=len(rest)))
        assert await read(core, digest) == CONTENT


@pytest.mark.parametrize("content", [b"", b"x", CONTENT])
async def test_a_whole_blob_in_one_request(world: World, content: bytes) -> None:
    async with world.open() as core:
        digest = await push_blob(core, content)
        assert await read(core, digest) == content


async def test_an_upload_goes_on_after_a_restart(world: World) -> None:
    async with world.open() as core:
        ref = await begin_upload(core)
        await core.uploads.append(ref, chunk(CONTENT[:500_000]))
    async with world.open() as core:
        assert (await core.uploads.status(ref)).size == 500_000
        await core.uploads.finish(ref, DIGEST, chunk(CONTENT[500_000:]))
        assert await read(core, DIGEST) == CONTENT


@pytest.mark.parametrize("start", [0, 9, 11, 10**30])
async def test_a_chunk_that_begins_elsewhere_is_refused_and_the_upload_goes_on(
    world: World, start: int
) -> None:
    async with world.open() as core:
        ref = await begin_upload(core)
        await core.uploads.append(ref, chunk(CONTENT[:10]))
        with pytest.raises(RangeInvalid) as refused:
            await core.uploads.append(ref, chunk(CONTENT[10:], start=start))
        assert refused.value.offset == 10
        with pytest.raises(RangeInvalid):
            await core.uploads.finish(ref, DIGEST, chunk(CONTENT[10:], start=start))
        await core.uploads.append(ref, chunk(CONTENT[10:], start=10))
        await core.uploads.finish(ref, DIGEST)


async def test_a_wrong_digest_ends_the_upload_and_leaves_nothing(world: World) -> None:
    async with world.open() as core:
        ref = await begin_upload(core)
        await core.uploads.append(ref, chunk(CONTENT))
        with pytest.raises(DigestInvalid, match=str(DIGEST)):
            await core.uploads.finish(ref, Digest.of(b"other"))
        with pytest.raises(BlobUploadUnknown):
            await core.uploads.status(ref)
        with pytest.raises(DigestInvalid):
            await core.uploads.push(REPO, "ci", Digest.of(b"other"), chunk(CONTENT))
        assert await count(core, "upload") == 0
    assert world.files() == []


@pytest.mark.parametrize(("declared", "kept"), [(20, 10), (9, 0)])
async def test_a_body_of_another_length_than_declared_is_refused(
    world: World, declared: int, kept: int
) -> None:
    async with world.open() as core:
        ref = await begin_upload(core)
        with pytest.raises(SizeInvalid, match=str(declared)):
            await core.uploads.append(ref, chunk(CONTENT[:10], length=declared))
        assert (await core.uploads.status(ref)).size == kept
        with pytest.raises(SizeInvalid):
            await core.uploads.finish(ref, DIGEST, chunk(CONTENT[:10], length=declared))
        assert (await core.uploads.status(ref)).size == 2 * kept
        with pytest.raises(SizeInvalid):
            await core.uploads.push(REPO, None, DIGEST, chunk(CONTENT[:10], length=declared))
        assert await count(core, "upload") == 1
    assert world.files() == [f"uploads/{ref.id}"]


class Gone(Exception):  # noqa: N818 - what a disconnect looks like
    pass


async def broken(content: bytes) -> AsyncIterator[bytes]:
    async for piece in body(content):
        yield piece
    raise Gone


async def test_what_came_before_the_client_went_is_kept(world: World) -> None:
    async with world.open() as core:
        ref = await begin_upload(core)
        with pytest.raises(Gone):
            await core.uploads.append(ref, Chunk(body=broken(CONTENT[:600_001])))
        assert (await core.uploads.status(ref)).size == 600_001
        await core.uploads.finish(ref, DIGEST, chunk(CONTENT[600_001:], start=600_001))
        assert await read(core, DIGEST) == CONTENT


async def test_a_cancelled_request_leaves_an_upload_that_can_go_on(world: World) -> None:
    waiting = asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield CONTENT[:300_000]
        waiting.set()
        await asyncio.Event().wait()

    async with world.open() as core:
        ref = await begin_upload(core)
        task = asyncio.create_task(core.uploads.append(ref, Chunk(body=slow())))
        await waiting.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (await core.uploads.status(ref)).size == 300_000
        await core.uploads.finish(ref, DIGEST, chunk(CONTENT[300_000:]))
        assert await read(core, DIGEST) == CONTENT


async def test_a_push_in_one_request_that_breaks_leaves_nothing(world: World) -> None:
    async with world.open() as core:
        with pytest.raises(Gone):
            await core.uploads.push(REPO, None, DIGEST, Chunk(body=broken(CONTENT)))
        assert await count(core, "upload") == 0
    assert world.files() == []


@pytest.mark.parametrize(
    "change",
    [
        lambda ref: replace(ref, repo=OTHER),
        lambda ref: replace(ref, principal="eve"),
        lambda ref: replace(ref, principal=None),
        lambda ref: replace(ref, id=UploadId("0" * 32)),
    ],
)
async def test_the_upload_of_somebody_else_is_unknown(
    world: World, change: Callable[[UploadRef], UploadRef]
) -> None:
    async with world.open() as core:
        ref = await begin_upload(core)
        await core.uploads.append(ref, chunk(CONTENT[:10]))
        theirs = change(ref)
        with pytest.raises(BlobUploadUnknown):
            await core.uploads.status(theirs)
        with pytest.raises(BlobUploadUnknown):
            await core.uploads.append(theirs, chunk(b"evil"))
        with pytest.raises(BlobUploadUnknown):
            await core.uploads.finish(theirs, Digest.of(CONTENT[:10]))
        with pytest.raises(BlobUploadUnknown):
            await core.uploads.cancel(theirs)
        assert (await core.uploads.status(ref)).size == 10
    assert world.files() == [f"uploads/{ref.id}"]


async def test_of_two_requests_for_one_upload_the_second_is_told_to_come_back(
    world: World,
) -> None:
    entered, go_on = asyncio.Event(), asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        entered.set()
        await go_on.wait()
        yield CONTENT

    async with world.open() as core:
        ref = await begin_upload(core)
        first = asyncio.create_task(core.uploads.append(ref, Chunk(body=slow())))
        await entered.wait()
        with pytest.raises(UploadBusy):
            await core.uploads.append(ref, chunk(b"between"))
        with pytest.raises(UploadBusy):
            await core.uploads.finish(ref, DIGEST)
        go_on.set()
        await first
        await core.uploads.finish(ref, DIGEST)
        assert await read(core, DIGEST) == CONTENT


async def test_two_workers_never_write_to_one_upload_at_once(world: World) -> None:
    async with world.open() as old, world.open() as new:
        ref = await begin_upload(old)
        entered, go_on = asyncio.Event(), asyncio.Event()

        async def slow() -> AsyncIterator[bytes]:
            entered.set()
            await go_on.wait()
            yield CONTENT[:100]

        first = asyncio.create_task(old.uploads.append(ref, Chunk(body=slow())))
        await entered.wait()
        with pytest.raises(UploadBusy):
            await new.uploads.append(ref, chunk(b"between"))
        go_on.set()
        await first
        await new.uploads.finish(ref, DIGEST, chunk(CONTENT[100:]))
        assert await read(old, DIGEST) == CONTENT


async def test_a_cancelled_upload_is_gone_at_once_even_while_it_is_written_to(
    world: World,
) -> None:
    entered, go_on = asyncio.Event(), asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        entered.set()
        await go_on.wait()
        yield CONTENT

    async with world.open() as core:
        ref = await begin_upload(core)
        writer = asyncio.create_task(core.uploads.finish(ref, DIGEST, Chunk(body=slow())))
        await entered.wait()
        await core.uploads.cancel(ref)
        with pytest.raises(BlobUploadUnknown):
            await core.uploads.status(ref)
        go_on.set()
        with pytest.raises(BlobUploadUnknown):
            await writer
        with pytest.raises(BlobUnknown):
            await core.blobs.stat(REPO, DIGEST, promise=False)
        await collect(core)
        assert await count(core, "tombstone") == 0
    assert world.files() == []


async def test_many_pushes_of_one_digest_keep_one_copy(world: World) -> None:
    async with world.open() as core:
        await asyncio.gather(*(push_blob(core, CONTENT) for _ in range(32)))
        assert await read(core, DIGEST) == CONTENT
        assert len(world.files()) == 1
        assert await count(core, "blob") == 1
        await collect(core)
        assert await read(core, DIGEST) == CONTENT
        assert await count(core, "tombstone") == 0


@pytest.mark.parametrize("step", ["U3.record", "U3.publish", "U4"])
async def test_an_upload_that_somebody_dropped_at_the_last_moment_becomes_no_blob(
    world: World, step: str
) -> None:
    def drop(name: str) -> None:
        if name == step:
            other = sqlite3.connect(world.data / DATABASE)
            other.execute("DELETE FROM upload")
            other.commit()
            other.close()

    world.failpoint = drop
    async with world.open() as core:
        ref = await begin_upload(core)
        with pytest.raises(BlobUploadUnknown):
            await core.uploads.finish(ref, DIGEST, chunk(CONTENT))
        with pytest.raises(BlobUnknown):
            await core.blobs.stat(REPO, DIGEST, promise=False)
        await collect(core)
        assert await count(core, "blob") == await count(core, "tombstone") == 0
    assert world.files() == []


async def test_an_upload_that_was_dropped_just_before_does_not_come_back_as_a_file(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world.open() as core:
        ref = await begin_upload(core)
        sessions = core.uploads._sessions
        find = sessions.find

        async def found_then_dropped(wanted: UploadRef) -> UploadRow:
            row = await find(wanted)
            await core.uploads._publisher.drop(wanted.id.value)
            return row

        monkeypatch.setattr(sessions, "find", found_then_dropped)
        with pytest.raises(BlobUploadUnknown):
            await core.uploads.append(ref, chunk(CONTENT))
    assert world.files() == []


@pytest.mark.parametrize("damage", ["missing", "short"])
async def test_a_push_repairs_bytes_that_are_damaged(world: World, damage: str) -> None:
    async with world.open() as core:
        await push_blob(core, CONTENT)
        path = world.data / world.files()[0]
        if damage == "missing":
            path.unlink()
        else:
            path.write_bytes(CONTENT[:5])
        with pytest.raises(BlobUnknown):
            await core.blobs.stat(REPO, DIGEST, promise=True)
        with pytest.raises(BlobUnknown):
            await core.blobs.open(REPO, DIGEST)
        await push_blob(core, CONTENT)
        assert await read(core, DIGEST) == CONTENT
        await collect(core)
        assert await read(core, DIGEST) == CONTENT
        assert len(world.files()) == 1


async def test_an_upload_that_nobody_goes_on_with_expires(world: World) -> None:
    async with world.open() as core:
        ref = await begin_upload(core)
        await core.uploads.append(ref, chunk(CONTENT))
        world.clock.forward(world.policy.upload_ttl * 0.9)
        await core.uploads.append(ref, chunk(b"more"))
        world.clock.forward(world.policy.upload_ttl * 0.9)
        await core.housekeeping.tick()
        assert (await core.uploads.status(ref)).size == len(CONTENT) + 4
        world.clock.forward(world.policy.upload_ttl)
        with pytest.raises(BlobUploadUnknown):
            await core.uploads.status(ref)
        await core.housekeeping.tick()
        assert await count(core, "upload") == 0
        assert await count(core, "tombstone") == 0
    assert world.files() == []


async def test_an_upload_that_is_written_to_does_not_expire(world: World) -> None:
    entered, go_on = asyncio.Event(), asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        entered.set()
        await go_on.wait()
        yield CONTENT

    async with world.open() as core:
        ref = await begin_upload(core)
        writer = asyncio.create_task(core.uploads.finish(ref, DIGEST, Chunk(body=slow())))
        await entered.wait()
        world.clock.forward(world.policy.upload_ttl * 2)
        await core.housekeeping.tick()
        go_on.set()
        await writer
        assert await read(core, DIGEST) == CONTENT


async def test_a_full_disk_refuses_the_chunk_and_drops_the_upload(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int, data: Iterable[memoryview]) -> int:
        room = 400_000 - os.fstat(descriptor).st_size
        if room <= 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return os.write(descriptor, b"".join(data)[:room])

    async with world.open() as core:
        refs = [await begin_upload(core) for _ in range(2)]
        with monkeypatch.context() as patched:
            patched.setattr("cais_registry.stores.upload_file.os.writev", full)
            with pytest.raises(StorageFull, match="full"):
                await core.uploads.append(refs[0], chunk(CONTENT))
            with pytest.raises(StorageFull):
                await core.uploads.finish(refs[1], DIGEST, chunk(CONTENT))
            with pytest.raises(StorageFull):
                await core.uploads.push(REPO, None, DIGEST, chunk(CONTENT))
        for ref in refs:
            with pytest.raises(BlobUploadUnknown):
                await core.uploads.status(ref)
        assert await count(core, "upload") == 0
        assert world.files() == []
        await core.uploads.push(REPO, None, DIGEST, chunk(CONTENT))
        assert await read(core, DIGEST) == CONTENT


async def test_memory_does_not_hold_the_body(world: World) -> None:
    import tracemalloc  # noqa: PLC0415 - slow, for this test only

    async def long() -> AsyncIterator[bytes]:
        for _ in range(64):
            yield bytes(1 << 20)

    async with world.open() as core:
        ref = await begin_upload(core)
        tracemalloc.start()
        await core.uploads.append(ref, Chunk(body=long()))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 16 << 20


async def test_an_algorithm_that_is_not_known_is_refused(world: World) -> None:
    async with world.open() as core:
        with pytest.raises(RegistryError, match="sha256 or sha512"):
            await core.uploads.start(REPO, None, algorithm="md5")
