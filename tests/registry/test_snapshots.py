# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import errno
import os
import shutil
import time
from datetime import timedelta
from pathlib import Path

import pytest

from cais_registry.model.errors import ManifestUnknown
from cais_registry.model.names import Tag
from cais_registry.stores import sqlite
from core_support import HOUR, REPO, Clock, World, push_image
from support.syncs import watch_syncs

MINUTE = timedelta(minutes=1)


def world_of(path: Path) -> World:
    return World(path, clock=Clock(time.time_ns() // 1000))


def taken(world: World) -> list[Path]:
    return sorted((world.data / "snapshots").glob("*"))


def touch(world: World) -> None:
    """What is written has a time of the test's clock, not of the machine's: a minute ago."""
    now = world.clock.now / 1_000_000 - 60
    for name in ("metadata.sqlite3", "metadata.sqlite3-wal"):
        os.utime(world.data / name, (now, now))


async def test_one_is_taken_an_hour_when_something_was_written(tmp_path: Path) -> None:
    world = world_of(tmp_path)
    async with world.open() as core:
        await push_image(core, "one", "v1")
        for forward, expected in ((MINUTE, 1), (MINUTE, 1), (HOUR, 2), (HOUR, 3), (HOUR, 3)):
            world.clock.forward(forward)
            await push_image(core, f"image {world.clock.now}", "v1")
            touch(world)
            await core.housekeeping.tick()
            assert len(taken(world)) == expected
        newest = taken(world)
        world.clock.forward(2 * HOUR)
        await core.housekeeping.tick()  # nothing was written since
        assert taken(world) == newest


async def test_a_damaged_database_comes_back_from_its_snapshot(tmp_path: Path) -> None:
    world = world_of(tmp_path)
    async with world.open() as core:
        manifest = await push_image(core, "one", "before")
        await core.housekeeping.tick()
        await push_image(core, "two", "after")
    (snapshot,) = taken(world)
    assert sqlite.faults(snapshot) == []
    database = tmp_path / "metadata.sqlite3"
    database.write_bytes(b"no database" * 1000)
    assert sqlite.faults(database) != []
    shutil.copy(snapshot, database)
    async with world.open() as core:
        assert (await core.manifests.get(REPO, Tag("before"))).content == manifest
        with pytest.raises(ManifestUnknown):
            await core.manifests.get(REPO, Tag("after"))


async def test_a_snapshot_and_the_folder_of_the_first_one_are_durable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, folder = world_of(tmp_path), tmp_path / "snapshots"
    async with world.open() as core:
        await push_image(core, "one", "v1")
        synced = watch_syncs(monkeypatch)
        await core.housekeeping.tick()
    assert [path for path in synced if "manifests" not in path.parts] == [
        tmp_path,
        folder / "unfinished",
        folder,
    ]


async def test_where_room_is_short_none_is_taken_and_the_log_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "only the reserve for deletions is left")

    world = world_of(tmp_path)
    async with world.open() as core:
        monkeypatch.setattr("cais_registry.stores.snapshots.check_room", full)
        await core.housekeeping.tick()
    assert taken(world) == []
    assert "no snapshot of the database was taken" in caplog.text
