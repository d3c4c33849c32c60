# SPDX-License-Identifier: Apache-2.0
"""Retention over PostgreSQL: all that is promised over SQLite, and a dry run on any data."""

from __future__ import annotations

import asyncio
import secrets
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from cais_registry.model.policy import Policy
from core_support import HOUR, World
from registry import test_pulls
from registry.test_pulls import *  # noqa: F403 - the tests
from registry.test_retention import *  # noqa: F403 - the tests
from registry.test_retention_property import PUSHES, RULES, WINDOWS, check
from registry.test_retention_reports import *  # noqa: F403 - the tests
from registry.test_retention_untagged import *  # noqa: F403 - the tests
from retention_support import set_rules
from support.postgresql import Cluster

del test_who_alone_has_the_folder_does_not_wait_for_the_dead  # noqa: F821 - PostgreSQL is shared


async def test_who_counted_under_another_hold_may_live(world: World) -> None:
    world.holder = "first"
    async with world.open():
        world.holder = "second"
        async with world.open() as core:
            world.clock.forward(timedelta(seconds=1))
            core.pulls.patience_seconds = 0
            assert not await core.pulls.settle()


@pytest.fixture(name="world")
def world_on_postgresql(tmp_path: Path, dsn: str, request: pytest.FixtureRequest) -> World:
    policy = Policy(push_lease=HOUR, undelete_window=HOUR)
    world = World(tmp_path / "data", policy=policy, database_url=dsn)
    if request.function.__module__.endswith("test_pulls"):
        set_rules(world, test_pulls.RULE)
    return world


@given(rule=RULES, pushes=PUSHES, window=WINDOWS)
@settings(
    max_examples=8,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
def test_a_dry_run_lists_what_the_run_then_deletes(
    postgres: Cluster, rule: dict[str, Any], pushes: list[dict[str, Any]], window: timedelta
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        world = World(
            Path(folder) / "data",
            policy=Policy(push_lease=HOUR, undelete_window=window),
            database_url=postgres.create(f"test_{secrets.token_hex(6)}"),
        )
        asyncio.run(check(world, rule, pushes))
