# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from cais_registry.model.digest import Digest
from cais_registry.model.errors import ManifestUnknown
from cais_registry.model.names import Tag
from cais_registry.model.space import Space
from cais_registry.services.core import Core
from core_support import HOUR, REPO, World, count, push_blob, push_image

GIB, MIB = 1 << 30, 1 << 20
FULL, SCARCE, LOW, FREE = (Space(GIB, free * MIB) for free in (51, 101, 107, 500))
MINUTE = timedelta(minutes=1)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "data")


class Disk:
    """A disk of 1 GiB with as much free as is said, and what was given back since."""

    def __init__(self, core: Core, space: Space) -> None:
        self.space = space
        self._core = core
        vars(core.store)["space"] = self.look
        self._files = vars(core.store)["_files"]
        self._delete = self._files.delete
        self._files.delete = self.delete

    def look(self) -> Space:
        return self.space

    def delete(self, keys: list[str]) -> list[str]:
        gone: list[str] = self._delete(keys)
        blobs = sum(key.startswith("blobs/") for key in gone)
        self.space = Space(self.space.capacity, self.space.available + blobs * MIB)
        return gone


async def is_kept(core: Core, digest: Digest) -> bool:
    try:
        await core.undelete.bring_back(REPO, digest)
    except ManifestUnknown:
        return False
    return True


@pytest.mark.parametrize(
    ("space", "low", "ample", "scarce"),
    [
        (Space(10 * GIB, 1100 * MIB), False, False, False),
        (Space(10 * GIB, 1000 * MIB), True, False, False),
        (Space(10 * GIB, 1700 * MIB), False, True, False),
        (Space(10 * GIB, 128 * MIB), True, False, False),
        (Space(10 * GIB, 127 * MIB), True, False, True),
        (Space(40 * MIB, 4 * MIB), False, False, False),
        (Space(40 * MIB, 3 * MIB), True, False, True),
        (Space(0, 0), False, True, False),
    ],
)
def test_room_is_judged_by_the_size_of_the_disk(
    space: Space, low: bool, ample: bool, scarce: bool
) -> None:
    assert (space.is_low, space.is_ample, space.is_scarce) == (low, ample, scarce)


async def test_pressure_ends_only_when_there_is_ample_room(world: World) -> None:
    async with world.open() as core:
        disk = Disk(core, FREE)
        seen = []
        for available in (500, 105, 100, 110, 150, 160, 110, 100):
            disk.space = Space(GIB, available * MIB)
            seen.append(core.pressure.look())
        assert seen == [False, False, True, True, True, False, False, True]


async def test_while_there_is_room_nothing_goes_before_its_time(world: World) -> None:
    async with world.open() as core:
        Disk(core, Space(GIB, 103 * MIB))
        assert not core.pressure.look()
        digest = Digest.of(await push_image(core, "one", "v1"))
        await core.manifests.delete(REPO, digest)
        world.clock.forward(HOUR)
        await core.pressure.tick()
        assert await is_kept(core, digest)


async def test_a_low_disk_takes_what_is_garbage_already_and_no_more(world: World) -> None:
    async with world.open() as core:
        old, new = [Digest.of(await push_image(core, name, name)) for name in ("old", "new")]
        Disk(core, Space(2000 * MIB, 190 * MIB))
        await core.manifests.delete(REPO, old)
        world.clock.forward(HOUR + MINUTE)
        await core.manifests.delete(REPO, new)
        assert core.pressure.look()
        await core.pressure.tick()
        assert not await is_kept(core, old)
        assert await is_kept(core, new)
        assert await count(core, "tombstone") == 0


async def test_where_pushes_would_be_refused_the_oldest_deletions_go_first(world: World) -> None:
    async with world.open() as core:
        images = [Digest.of(await push_image(core, str(n), f"v{n}")) for n in range(30)]
        for digest in images:
            await core.manifests.delete(REPO, digest)
            world.clock.forward(timedelta(seconds=1))
        disk = Disk(core, Space(GIB, 101 * MIB))
        await core.pressure.tick()
        assert not disk.space.is_scarce
        assert [await is_kept(core, digest) for digest in images] == [False] * 20 + [True] * 10


async def test_neither_images_nor_promises_go_however_full_the_disk_is(world: World) -> None:
    async with world.open() as core:
        kept = await push_image(core, "kept", "v1")
        promised = await push_blob(core, b"promised")
        gone = Digest.of(await push_image(core, "gone", "v2"))
        await core.manifests.delete(REPO, Tag("v2"))
        world.clock.forward(MINUTE)
        Disk(core, Space(GIB, 0))
        await core.pressure.tick()
        assert (await core.manifests.get(REPO, Tag("v1"))).content == kept
        (await core.blobs.open(REPO, promised)).content.close()
        assert not await is_kept(core, gone)
        await core.pressure.tick()  # nothing is left to take: it ends all the same


async def test_deletions_of_the_future_are_not_waited_for(world: World) -> None:
    """The clock was set back while the server was down, or another server's clock is ahead."""
    async with world.open() as core:
        digest = Digest.of(await push_image(core, "one", "v1"))
        await core.manifests.delete(REPO, digest)
    world.clock.forward(-HOUR)
    async with world.open() as core:
        Disk(core, Space(GIB, 0))
        async with asyncio.timeout(60):
            await core.pressure.tick()
        assert await is_kept(core, digest)
