# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from pathlib import Path

import pytest

from cais_registry.model.digest import Digest
from cais_registry.model.errors import BlobUnknown, ManifestBlobUnknown, Unsupported
from cais_registry.model.names import RepoName, Tag
from cais_registry.services.core import Core
from core_support import HOUR, OTHER, REPO, World, collect, count, image, push_blob, push_image, put


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "data")


async def has(core: Core, repo: RepoName, digest: Digest) -> bool:
    try:
        await core.blobs.stat(repo, digest, promise=False)
    except BlobUnknown:
        return False
    return True


async def test_a_blob_is_known_in_its_repository_only(world: World) -> None:
    async with world.open() as core:
        digest = await push_blob(core, b"content")
        assert (await core.blobs.stat(REPO, digest, promise=False)).size == 7
        for act in (core.blobs.open, core.blobs.delete):
            with pytest.raises(BlobUnknown, match=str(OTHER)):
                await act(OTHER, digest)
        assert not await has(core, OTHER, digest)


async def test_an_open_blob_outlives_its_deletion(world: World) -> None:
    world.policy = replace(world.policy, undelete_window=HOUR * 0, push_lease=HOUR * 0)
    async with world.open() as core:
        digest = await push_blob(core, b"content")
        blob = await core.blobs.open(REPO, digest)
        await core.blobs.delete(REPO, digest)
        await collect(core)
        assert world.files() == []
        again = os.open(f"/proc/self/fd/{blob.content.fd}", os.O_RDONLY)  # as a server sends it
        assert os.read(again, 100) == b"content"
        os.close(again)
        blob.content.close()


async def test_a_deleted_blob_is_gone_at_once_and_a_push_brings_it_back(world: World) -> None:
    async with world.open() as core:
        digest = await push_blob(core, b"content")
        await core.blobs.delete(REPO, digest)
        assert not await has(core, REPO, digest)
        with pytest.raises(BlobUnknown):
            await core.blobs.delete(REPO, digest)
        with pytest.raises(ManifestBlobUnknown):
            await put(core, image(b"content"))
        assert not await core.blobs.mount(OTHER, digest, source=REPO, readable=lambda _: True)
        await push_blob(core, b"content")
        assert await has(core, REPO, digest)
        world.clock.forward(HOUR / 2)
        await collect(core)
        assert await has(core, REPO, digest)


async def test_a_deleted_blob_is_kept_for_the_window_then_given_back(world: World) -> None:
    async with world.open() as core:
        digest = await push_blob(core, b"content")
        await core.blobs.delete(REPO, digest)
        world.clock.forward(HOUR * 0.99)
        assert (await collect(core)).blobs_deleted == 0
        assert len(world.files()) == 1
        world.clock.forward(HOUR * 0.02)
        run = await collect(core)
        assert (run.blobs_deleted, run.bytes_reclaimed) == (1, 7)
        assert world.files() == []


async def test_a_blob_that_is_deleted_on_request_does_not_wait_for_its_lease(world: World) -> None:
    world.policy = replace(world.policy, undelete_window=HOUR * 0, push_lease=HOUR)
    async with world.open() as core:
        await core.blobs.delete(REPO, await push_blob(core, b"content"))
        assert (await collect(core)).blobs_deleted == 1


async def test_a_blob_in_use_cannot_be_deleted(world: World) -> None:
    async with world.open() as core:
        manifest = await push_image(core, "one", "v1", layers=[b"layer"])
        with pytest.raises(Unsupported, match=str(Digest.of(manifest))):
            await core.blobs.delete(REPO, Digest.of(b"layer"))
        await core.manifests.delete(REPO, Digest.of(manifest))
        await core.blobs.delete(REPO, Digest.of(b"layer"))


async def test_a_mount_shares_the_bytes(world: World) -> None:
    async with world.open() as core:
        digest = await push_blob(core, b"content")
        assert await core.blobs.mount(OTHER, digest, source=REPO, readable=lambda _: True)
        assert await has(core, OTHER, digest)
        assert len(world.files()) == 1
        await core.blobs.delete(REPO, digest)
        world.clock.forward(HOUR / 2)
        await collect(core)
        assert await has(core, OTHER, digest)


async def test_a_mount_from_where_one_may_not_read_or_there_is_nothing_needs_an_upload(
    world: World,
) -> None:
    async with world.open() as core:
        digest = await push_blob(core, b"content")
        for source in (REPO, None):
            assert not await core.blobs.mount(
                OTHER, digest, source=source, readable=lambda _: False
            )
        missing = Digest.of(b"missing")
        for source in (REPO, None):
            assert not await core.blobs.mount(
                OTHER, missing, source=source, readable=lambda _: True
            )
        assert not await has(core, OTHER, digest)


async def test_a_mount_without_a_source_finds_a_readable_one(world: World) -> None:
    async with world.open() as core:
        digest = await push_blob(core, b"content", RepoName.parse("secret"))
        await push_blob(core, b"content")
        asked: list[RepoName] = []

        def readable(repo: RepoName) -> bool:
            asked.append(repo)
            return repo == REPO

        assert await core.blobs.mount(OTHER, digest, source=None, readable=readable)
        assert REPO in asked


async def test_deleting_and_mounting_at_once_loses_nothing(world: World) -> None:
    world.policy = replace(world.policy, undelete_window=HOUR * 0, push_lease=HOUR)
    async with world.open() as core:
        for round_ in range(20):
            content = f"content {round_}".encode()
            digest = await push_blob(core, content)
            _, mounted, _ = await asyncio.gather(
                core.blobs.delete(REPO, digest),
                core.blobs.mount(OTHER, digest, source=REPO, readable=lambda _: True),
                core.collector.start(),
            )
            await core.collector.wait()
            await collect(core)
            assert await has(core, OTHER, digest) == mounted


async def test_what_a_pusher_was_told_exists_is_kept_for_the_lease(world: World) -> None:
    async with world.open() as core:
        digest = await push_blob(core, b"content")
        for _ in range(5):
            world.clock.forward(HOUR * 0.9)
            await core.blobs.stat(REPO, digest, promise=True)
            await collect(core)
        world.clock.forward(HOUR * 0.9)
        await collect(core)
        await put(core, image(b"content"), "v1")
        world.clock.forward(HOUR * 10)
        await collect(core)
        assert await has(core, REPO, digest)


async def test_a_look_of_somebody_who_may_not_push_prolongs_nothing(world: World) -> None:
    async with world.open() as core:
        digest = await push_blob(core, b"content")
        world.clock.forward(HOUR * 0.9)
        await core.blobs.stat(REPO, digest, promise=False)
        world.clock.forward(HOUR * 0.2)
        await collect(core)
        assert not await has(core, REPO, digest)


async def test_a_promise_is_written_down_at_most_twice_in_a_lease(world: World) -> None:
    async with world.open() as core:
        digest = await push_blob(core, b"content")
        written = await touched(core)
        world.clock.forward(HOUR * 0.4)
        await core.blobs.stat(REPO, digest, promise=True)
        assert await touched(core) == written
        world.clock.forward(HOUR * 0.2)
        await core.blobs.stat(REPO, digest, promise=True)
        assert await touched(core) > written


async def touched(core: Core) -> int:
    rows = await core.database.read(lambda c: c.execute("SELECT touched_at FROM repo_blob"))
    return int(rows[0]["touched_at"])


async def test_a_promise_after_a_push_used_the_blob_holds_though_all_users_are_deleted(
    world: World,
) -> None:
    world.policy = replace(world.policy, undelete_window=HOUR * 0, push_lease=HOUR)
    async with world.open() as core:
        manifest = await push_image(core, "one", "v1", layers=[b"layer"])
        await core.blobs.stat(REPO, Digest.of(b"layer"), promise=True)
        await core.manifests.delete(REPO, Digest.of(manifest))
        await collect(core)
        assert await has(core, REPO, Digest.of(b"layer"))
        assert await count(core, "repo_blob") == 1
        await put(core, image(b"layer"), "v2")


async def test_promises_hold_though_the_clock_was_set_back(world: World) -> None:
    world.policy = replace(world.policy, undelete_window=HOUR * 0, push_lease=HOUR)
    async with world.open() as core:
        await push_image(core, "one", "v1", layers=[b"layer"])
    world.clock.forward(HOUR * -0.5)
    async with world.open() as core:
        await core.blobs.stat(REPO, Digest.of(b"layer"), promise=True)
        await core.manifests.delete(REPO, Tag("v1"))
        world.clock.forward(HOUR * 0.6)
        await collect(core)
        assert await has(core, REPO, Digest.of(b"layer"))
        assert not await has(core, REPO, Digest.of(b'{"name": "one"}'))
