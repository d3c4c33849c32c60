# SPDX-License-Identifier: Apache-2.0
"""A server and the one before it, on one SQLite; the way back where the older one cannot run."""

from __future__ import annotations

import asyncio
import errno
import sqlite3
import sys
from pathlib import Path

import pytest

from cais_registry.services.core import Core
from cais_registry.stores import migrate, postgresql_migrate, snapshots
from cais_registry.stores.layout import UnusableData
from cais_registry.stores.schema import REMEMBERED, SchemaUnknown, migration
from core_support import HOUR, World, image, push_blob, push_image, put
from rebuild_support import check, has, snapshot
from support.upgrade_contract import *  # noqa: F403 - the tests
from support.upgrade_contract import Steps


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> Steps:
    return Steps(migrate, monkeypatch, migrate.scripts())


def kept(world: World) -> list[str]:
    return sorted(path.name for path in (world.data / "snapshots").glob("before-*"))


async def test_an_upgrade_that_can_be_taken_back_copies_nothing(world: World, steps: Steps) -> None:
    with steps.known(less=1):
        async with world.open():
            pass
    async with world.open():
        assert kept(world) == []
    with steps.known(steps.added()):
        async with world.open():
            assert kept(world) == []


async def test_the_way_back_from_an_upgrade_that_cannot_be_taken_back(
    world: World, steps: Steps
) -> None:
    async with world.open() as core:
        before = await push_image(core, "one", "v1", layers=(b"a layer",))
    with steps.known(steps.broken()):
        async with world.open() as core:
            # the newer program writes the copy of a manifest; its tag is in a table of its own
            after = await push_untagged(core)
            world.clock.forward(HOUR)
            await snapshot(world, core)
            await core.mirror.catch_up()
    assert kept(world) == [f"before-schema-{steps.next:04}.sqlite3"]
    with pytest.raises(SchemaUnknown, match="`cais-registry fsck --rebuild --force` of this one"):
        async with world.open():
            pass
    command = ("fsck", "--data", str(world.data), "--rebuild", "--force")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "cais_registry", *command, stdout=asyncio.subprocess.PIPE
    )
    said = (await process.communicate())[0].decode()
    assert (process.returncode, "is of a newer version" in said) == (0, True), said
    async with world.open() as core:
        assert [await has(core, one) for one in ("v1", before, after)] == [True, True, True]
        await check(core)


async def push_untagged(core: Core) -> bytes:
    """An image that only its digest names."""
    for content in (b"{}", b"later"):
        await push_blob(core, content)
    content = image(b"{}", b"later")
    await put(core, content)
    return content


async def test_without_room_for_the_copy_nothing_is_changed(
    world: World, steps: Steps, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world.open() as core:
        await push_image(core, "one", "v1")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "only the reserve for deletions is left")

    with steps.known(steps.broken()), monkeypatch.context() as patch:
        patch.setattr(snapshots, "check_room", full)
        with pytest.raises(
            UnusableData, match=r"only the reserve .* make room on the volume, or run"
        ):
            async with world.open():
                pass
    assert kept(world) == []
    async with world.open() as core:  # as before
        assert await has(core, "v1")


def test_only_the_copy_of_before_the_last_such_upgrade_is_kept(
    tmp_path: Path, steps: Steps
) -> None:
    migrate.migrate(tmp_path / "db")
    with steps.known(steps.broken()):
        migrate.migrate(tmp_path / "db")
        first = kept(World(tmp_path))
        migrate.migrate(tmp_path / "db")  # a restart copies nothing
    undo = "ALTER TABLE label RENAME TO tag;\n"
    again = migration(steps.next + 1, undo)
    with steps.known(steps.broken(), again):
        migrate.migrate(tmp_path / "db")
    assert (first, kept(World(tmp_path))) == (
        [f"before-schema-{steps.next:04}.sqlite3"],
        [f"before-schema-{steps.next + 1:04}.sqlite3"],
    )
    copy = sqlite3.connect(tmp_path / "snapshots" / kept(World(tmp_path))[0])
    assert copy.execute("PRAGMA user_version").fetchone() == (steps.next,)
    copy.close()


def test_every_migration_from_now_on_says_who_may_run_on_it() -> None:
    for module in (migrate, postgresql_migrate):
        for one in module.scripts().values():
            says = "-- Compatible from: " in one.script
            assert says or one.version < REMEMBERED
            assert one.compatible_from <= one.version
    ours, theirs = migrate.scripts().values(), postgresql_migrate.scripts().values()
    assert [one.compatible_from for one in ours] == [one.compatible_from for one in theirs]
