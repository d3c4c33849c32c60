# SPDX-License-Identifier: Apache-2.0
"""The quota, on whichever database; whoever collects these gives `world`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from cais_registry.model.digest import Digest
from cais_registry.model.errors import BlobUploadUnknown, QuotaExceeded
from cais_registry.model.names import Tag
from cais_registry.services.chunks import Chunk
from core_support import (
    HOUR,
    OTHER,
    REPO,
    World,
    begin_upload,
    body,
    chunk,
    collect,
    count,
    image,
    push_blob,
    push_image,
    put,
    stored,
)

LAYER = bytes(10_000)


def limit(world: World, quota: int | None) -> None:
    world.policy = replace(world.policy, quota=quota)


async def test_a_quota_is_used_up_to_its_last_byte_and_not_one_more(world: World) -> None:
    async with world.open() as core:
        await push_image(core, "one", "v1", layers=[LAYER])
        now = await stored(core)
        limit(world, now + 1000)
        with pytest.raises(QuotaExceeded):
            await push_blob(core, b"a" * 1001)
        assert await stored(core) == now
        await push_blob(core, b"a" * 1000)
        with pytest.raises(QuotaExceeded) as caught:
            await push_blob(core, b"b")
        error = caught.value
        assert (error.used, error.added, error.limit) == (now + 1000, 1, now + 1000)
        assert await stored(core) == now + 1000


async def test_what_is_stored_already_costs_nothing(world: World) -> None:
    async with world.open() as core:
        content = await push_image(core, "one", "v1", layers=[LAYER])
        limit(world, await stored(core))
        await push_blob(core, LAYER)
        await push_blob(core, LAYER, OTHER)
        assert await core.blobs.mount(
            OTHER, Digest.of(b'{"name": "one"}'), source=REPO, readable=lambda _: True
        )
        ref = await begin_upload(core)  # which digest it will have is not known while it comes
        await core.uploads.append(ref, chunk(LAYER))
        await core.uploads.finish(ref, Digest.of(LAYER))
        await put(core, content, "v1", "v2")
        with pytest.raises(QuotaExceeded):  # each repository's manifest counts
            await put(core, content, "v1", repo=OTHER)
        limit(world, 1)  # below what is there: nothing is lost, and the same still goes
        await put(core, content, "v3")
        await core.manifests.delete(REPO, Tag("v2"))


async def test_a_blob_that_is_too_large_is_refused_before_a_byte_is_read(world: World) -> None:
    async with world.open() as core:
        ref = await begin_upload(core)
        limit(world, 100)

        async def unread() -> AsyncIterator[bytes]:
            for byte in b"a":
                raise AssertionError(f"{byte} was read")
            yield b""

        large = Chunk(body=unread(), length=101)
        with pytest.raises(QuotaExceeded):
            await core.uploads.push(REPO, "ci", Digest.of(b"a" * 101), large)
        assert await count(core, "tombstone") == 0  # there never was an upload
        with pytest.raises(QuotaExceeded):
            await core.uploads.finish(ref, Digest.of(b"a" * 101), large)
        with pytest.raises(BlobUploadUnknown):
            await core.uploads.status(ref)
        other = await begin_upload(core)
        with pytest.raises(QuotaExceeded):
            await core.uploads.append(other, large)
        assert await count(core, "upload") == 0


async def test_a_stream_of_unknown_length_ends_where_the_quota_does(world: World) -> None:
    async with world.open() as core:
        limit(world, 1_000_000)
        sent = 0

        async def stream() -> AsyncIterator[bytes]:
            nonlocal sent
            for _ in range(100):
                sent += 50_000
                yield bytes(50_000)

        files = world.files()
        ref = await begin_upload(core)
        with pytest.raises(QuotaExceeded):
            await core.uploads.append(ref, Chunk(body=stream()))
        assert sent == 1_050_000
        assert world.files() == files
        assert await count(core, "upload") == 0
        assert await stored(core) == 0


async def test_chunks_that_fit_one_by_one_are_refused_together(world: World) -> None:
    async with world.open() as core:
        limit(world, 100)
        ref = await begin_upload(core)
        await core.uploads.append(ref, chunk(b"a" * 60))
        with pytest.raises(QuotaExceeded):
            await core.uploads.append(ref, chunk(b"a" * 60, start=60, length=60))
        with pytest.raises(BlobUploadUnknown):
            await core.uploads.status(ref)


async def test_a_manifest_counts_too(world: World) -> None:
    async with world.open() as core:
        await push_blob(core, b"{}")
        limit(world, await stored(core) + len(image(b"{}")) - 1)
        with pytest.raises(QuotaExceeded):
            await put(core, image(b"{}"), "v1")
        assert await count(core, "manifest") == 0
        assert await count(core, "tag") == 0
        limit(world, await stored(core) + len(image(b"{}")))
        await put(core, image(b"{}"), "v1")


async def test_two_clients_at_the_edge_never_pass_it_together(world: World) -> None:
    """Both find room when they begin; the transactions decide."""
    async with world.open() as core:
        limit(world, 10_000)
        barrier = asyncio.Barrier(8)

        async def push(number: int) -> int:
            content = bytes([number]) * 3000

            async def stream() -> AsyncIterator[bytes]:
                await barrier.wait()
                yield content

            try:
                await core.uploads.push(REPO, "ci", Digest.of(content), Chunk(body=stream()))
            except QuotaExceeded:
                return 0
            return 1

        assert sum(await asyncio.gather(*(push(number) for number in range(8)))) == 3
        assert await stored(core) == 9000
        assert await count(core, "upload") == 0
        assert len(world.files()) == 3


async def test_deleted_things_count_until_garbage_collection_has_removed_them(
    world: World,
) -> None:
    async with world.open() as core:
        content = await push_image(core, "one", "v1", layers=[LAYER])
        full = await stored(core)
        limit(world, full)
        await core.manifests.delete(REPO, Digest.of(content))
        assert await stored(core) == full
        world.clock.forward(HOUR / 2)
        with pytest.raises(QuotaExceeded, match=f"can free {full} bytes") as caught:
            await push_blob(core, b"new")
        assert caught.value.detail == {
            "used": full, "added": 3, "limit": full, "reclaimable": full
        }  # fmt: skip
        world.clock.forward(HOUR)
        await collect(core)
        assert await stored(core) == 0
        await push_blob(core, b"new")


async def test_a_quota_may_come_and_go_while_the_registry_runs(world: World) -> None:
    async with world.open() as core:
        await push_blob(core, LAYER)
        limit(world, 1)
        with pytest.raises(QuotaExceeded):
            await push_blob(core, b"more")
        assert (await core.usage.report()).quota == 1
        limit(world, None)
        await push_blob(core, b"more")
        assert (await core.usage.report()).quota is None


async def test_a_quota_that_shrinks_while_a_blob_comes_is_kept_to(world: World) -> None:
    async with world.open() as core:

        async def stream() -> AsyncIterator[bytes]:
            yield LAYER
            limit(world, 1)

        with pytest.raises(QuotaExceeded):
            await core.uploads.push(REPO, "ci", Digest.of(LAYER), Chunk(body=stream()))
        assert await stored(core) == 0
        assert world.files() == []
        await collect(core)
        assert await count(core, "tombstone") == 0


async def test_a_damaged_blob_is_healed_also_above_the_quota(world: World) -> None:
    async with world.open() as core:
        digest = await push_blob(core, LAYER)
        limit(world, 1)
        (path,) = (world.data / "blobs").rglob(f"{digest.encoded}/*")
        path.unlink()
        await core.uploads.push(REPO, "ci", digest, Chunk(body=body(LAYER)))
        assert await stored(core) == len(LAYER)


async def test_a_refusal_does_not_wait_for_a_count_that_takes_long(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cais_registry.services.changes._PATIENCE_SECONDS", 0.01)
    async with world.open() as core:
        limit(world, 1)

        async def never() -> int:
            await asyncio.Event().wait()
            return 0

        vars(core.uploads)["_changes"]._reclaimable = never
        with pytest.raises(QuotaExceeded) as caught:
            await push_blob(core, b"more")
        assert "Garbage" not in caught.value.message
        assert caught.value.detail == {"used": 0, "added": 4, "limit": 1}
