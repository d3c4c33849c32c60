# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cais_registry.stores.connection import Connection, Row
from cais_registry.stores.gc_batch import judge_bytes, judge_members
from cais_registry.stores.gc_queue import Due, Kind, Times, due_entries
from core_support import World


class Explained:
    """Notes how the database would find the rows of a query, instead of finding them."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.plan: list[str] = []

    def execute(self, sql: str, params: dict[str, Any]) -> list[Row]:
        rows = self._connection.execute(f"EXPLAIN QUERY PLAN {sql}", params)
        self.plan += [row["detail"] for row in rows]
        return []

    rows = execute


LOOKS: list[Callable[[Any, Times], Any]] = [
    lambda connection, times: list(due_entries(connection, Kind.MANIFEST, times, 100)),
    lambda connection, times: judge_members(connection, times, 100),
    lambda connection, times: judge_bytes(connection, times, 100),
]


@pytest.mark.parametrize("look", LOOKS, ids=[*Kind])
async def test_what_waits_is_not_looked_at_to_find_what_is_due(
    tmp_path: Path, look: Callable[[Any, Times], Any]
) -> None:
    world = World(tmp_path / "data")
    times = Times.of(world.clock.now, world.policy)

    def explain(connection: Connection) -> list[str]:
        explained = Explained(connection)
        look(explained, times)
        return [line for line in explained.plan if "gc_queue" in line]

    async with world.open() as core:
        plan = await core.database.read(explain)
    assert len(plan) == len(Due)
    assert all("USING INDEX gc_queue_by_time (kind=? AND due=?" in line for line in plan), plan
