# SPDX-License-Identifier: Apache-2.0
"""Tags that were pulled are kept, without a write for each pull; what was lost counts as pulled."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from cais_registry.config.retention import Retention
from cais_registry.model.digest import Digest
from cais_registry.model.policy import Policy
from cais_registry.services import pulls
from cais_registry.services.core import Core
from cais_registry.stores.connection import Connection
from cais_registry.stores.pull_rows import counters_silent_since
from core_support import HOUR, REPO, World, count, index, push_image, put
from retention_support import goes, set_rules

RULE = {"keepPulledWithin": "10h"}


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path / "data", policy=Policy(push_lease=HOUR, undelete_window=HOUR))
    set_rules(world, RULE)
    return world


def kill(core: Core, stack: AsyncExitStack) -> None:
    """End a server without any of what it does at its end."""
    core.database.close()
    core.pool.shutdown()
    stack.pop_all()


async def test_what_was_pulled_within_the_time_is_kept(world: World) -> None:
    async with world.open() as core:
        content = await push_image(core, "one", "a", "b")
        await push_image(core, "two", "c")
        world.clock.forward(HOUR * 12)
        core.pulls.note(REPO, Digest.of(content))
        assert await goes(core, dry_run=True) == {"c"}
        assert await goes(core) == {"c"}
        world.clock.forward(HOUR * 9)
        assert await goes(core) == set()
        world.clock.forward(HOUR * 2)
        assert await goes(core) == {"a", "b"}


async def test_a_pull_of_one_platform_counts_for_the_index(world: World) -> None:
    async with world.open() as core:
        child = await push_image(core, "child")
        await put(core, index(child), "v1")
        await put(core, index(index(child)), "v2")
        world.clock.forward(HOUR * 12)
        core.pulls.note(REPO, Digest.of(child))
        assert await goes(core) == set()


async def test_nothing_goes_until_pulls_were_counted_for_the_whole_time(world: World) -> None:
    world.policy = replace(world.policy, retention=Retention())
    async with world.open() as core:
        await push_image(core, "one", "v1")
        world.clock.forward(HOUR * 100)
        set_rules(world, RULE)
        assert await goes(core) == set()
        await core.housekeeping.tick()
        world.clock.forward(HOUR * 9.9)
        assert await goes(core) == set()
        world.clock.forward(HOUR * 0.2)
        assert await goes(core) == {"v1"}


async def test_a_rule_that_was_away_for_a_while_begins_anew(world: World) -> None:
    async with world.open() as core:
        await push_image(core, "one", "v1")
        world.clock.forward(HOUR * 8)
        world.policy = replace(world.policy, retention=Retention())
        await core.housekeeping.tick()
        assert await count(core, "pulls_known") == await count(core, "pull_counter") == 0
        set_rules(world, RULE)
        await core.housekeeping.tick()
        world.clock.forward(HOUR * 8)
        assert await goes(core) == set()


async def test_a_server_that_ended_well_missed_nothing(world: World) -> None:
    async with world.open() as core:
        content = await push_image(core, "one", "v1")
        await push_image(core, "two", "v2")
        world.clock.forward(HOUR * 12)
        core.pulls.note(REPO, Digest.of(content))
    async with world.open() as core:
        assert await count(core, "pull_counter") == 1
        assert await goes(core) == {"v2"}


@pytest.mark.parametrize("minutes", [0, 1, 10])
async def test_what_a_killed_server_had_counted_is_lost_so_everything_counts_as_pulled(
    world: World, minutes: int
) -> None:
    stack = AsyncExitStack()
    core = await stack.enter_async_context(world.open())
    content = await push_image(core, "one", "v1")
    world.clock.forward(HOUR * 12)
    core.pulls.note(REPO, Digest.of(content))
    kill(core, stack)
    world.clock.forward(HOUR / 60 * minutes)
    async with world.open() as core:
        core.pulls.patience_seconds = 0
        assert await goes(core) == set()
        world.clock.forward(HOUR * 9)
        await core.housekeeping.tick()
        assert await goes(core) == set()
        world.clock.forward(HOUR * 11)
        assert await goes(core) == {"v1"}


async def test_who_alone_has_the_folder_does_not_wait_for_the_dead(world: World) -> None:
    world.holder = "first"
    stack = AsyncExitStack()
    core = await stack.enter_async_context(world.open())
    content = await push_image(core, "one", "v1")
    world.clock.forward(HOUR * 12)
    core.pulls.note(REPO, Digest.of(content))
    kill(core, stack)
    world.holder = "second"
    async with world.open() as core:
        assert await count(core, "pull_counter") == 1
        assert await core.pulls.settle()
        assert await goes(core) == set()
        world.clock.forward(HOUR * 11)
        assert await goes(core) == {"v1"}


async def test_a_worker_that_drains_counts_under_the_hold_of_its_successor(world: World) -> None:
    world.holder = "first"
    async with world.open() as old, replace(world).open() as new:
        content = await push_image(new, "one", "v1")
        world.clock.forward(HOUR * 12)
        old.pulls.note(REPO, Digest.of(content))
        new.pulls.patience_seconds = 0
        assert not await new.pulls.settle()
        new.pulls.patience_seconds = 600
        run = asyncio.create_task(goes(new))
        while not run.done():
            world.clock.forward(HOUR / 60)
            await old.pulls.tick()
            await asyncio.sleep(0.1)
        assert await run == set()
        assert await count(new, "manifest WHERE last_pulled_at IS NOT NULL") == 1


async def test_a_run_waits_for_what_other_servers_have_counted(world: World) -> None:
    other = replace(world)
    async with world.open() as core, other.open() as second:
        content = await push_image(core, "one", "v1")
        await push_image(core, "two", "v2")
        world.clock.forward(HOUR * 12)
        second.pulls.note(REPO, Digest.of(content))
        core.pulls.patience_seconds = 0
        assert await goes(core) == set()
        core.pulls.patience_seconds = 600
        run = asyncio.create_task(goes(core))
        while not run.done():
            world.clock.forward(HOUR / 60)
            await second.pulls.tick()
            await core.pulls.tick()
            await asyncio.sleep(0.1)
        assert await run == {"v2"}


async def test_a_server_has_answered_only_when_all_it_counted_is_written(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It writes in parts: a run of another server must not decide after the first one."""
    monkeypatch.setattr(pulls, "_BATCH", 1)
    second = replace(world)
    async with world.open() as core, second.open() as other:
        contents = [await push_image(core, name, name) for name in ("a", "b")]
        for content in contents:
            other.pulls.note(REPO, Digest.of(content))
        core.pulls.patience_seconds = 0
        assert not await core.pulls.settle()
        world.clock.forward(timedelta(seconds=1))
        mine = vars(core.pulls)
        silent = partial(counters_silent_since, counter=mine["_name"], since=mine["_seen_at"])
        write, seen = other.database.write, []

        async def watched(work: Callable[[Connection], None]) -> None:
            seen.append(await core.database.read(silent))
            await write(work)

        vars(other.database)["write"] = watched
        await other.pulls.flush()
        assert seen == [True, True]
        assert not await core.database.read(silent)


async def test_what_is_pulled_all_the_time_keeps_no_one_writing(world: World) -> None:
    async with world.open() as core:
        digest = Digest.of(await push_image(core, "one", "v1"))
        parts: list[str] = []

        def pull_again(step: str) -> None:
            parts.append(step)
            world.clock.forward(timedelta(milliseconds=1))
            core.pulls.note(REPO, digest)

        vars(core.pulls)["_failpoint"] = pull_again
        core.pulls.note(REPO, digest)
        async with asyncio.timeout(60):
            await core.pulls.flush()
        assert parts == ["P1"]
        assert await count(core, "manifest WHERE last_pulled_at IS NOT NULL") == 1


async def test_pulls_are_written_together_and_not_one_by_one(world: World) -> None:
    writes: list[str] = []
    world.failpoint = writes.append
    async with world.open() as core:
        contents = [await push_image(core, f"image {number}") for number in range(20)]
        before = await core.database.version()
        for content in contents * 50:
            core.pulls.note(REPO, Digest.of(content))
        assert await core.database.version() == before
        writes.clear()
        await core.housekeeping.tick()
        assert writes.count("P1") == 1
        assert await count(core, "manifest WHERE last_pulled_at IS NOT NULL") == 20
        await core.housekeeping.tick()
        assert writes.count("P1") == 1


async def test_more_pulls_than_are_remembered_count_as_pulls_of_everything(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pulls, "MOST", 2)
    async with world.open() as core:
        contents = [await push_image(core, f"image {n}", f"v{n}") for n in range(4)]
        world.clock.forward(HOUR * 12)
        for content in contents:
            core.pulls.note(REPO, Digest.of(content))
        assert len(vars(core.pulls)["_pulls"]) == 2
        assert await goes(core) == set()


async def test_without_such_a_rule_nothing_is_counted_or_written(world: World) -> None:
    set_rules(world, {"keepLast": 1})
    async with world.open() as core:
        content = await push_image(core, "one", "v1")
        core.pulls.note(REPO, Digest.of(content))
        before = await core.database.version()
        await core.pulls.tick()
        assert await core.database.version() == before
        assert vars(core.pulls)["_pulls"] == {}
        assert await count(core, "pull_counter") == 0
