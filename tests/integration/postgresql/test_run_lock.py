# SPDX-License-Identifier: Apache-2.0
"""One garbage collection at a time, over all servers of one PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import psycopg
import pytest

from cais_registry.model.run import RunState
from cais_registry.services.core import Core, open_core
from cais_registry.stores.postgresql_database import PostgresDatabase
from support.postgresql import Cluster


@pytest.fixture
async def pair(tmp_path: Path, dsn: str) -> AsyncIterator[tuple[Core, Core]]:
    """The services of two servers that have nothing in common but the database."""
    async with AsyncExitStack() as stack:
        cores = []
        for name in ("one", "two"):
            core = await open_core(tmp_path / name, database_url=dsn)
            stack.push_async_callback(core.close)
            cores.append(core)
        yield cores[0], cores[1]


async def test_a_run_of_another_server_is_known_and_not_begun_twice(
    pair: tuple[Core, Core], dsn: str
) -> None:
    one, two = (core.collector for core in pair)
    started = await one.start()
    with psycopg.connect(dsn) as held:
        held.execute("SELECT newest FROM clock FOR UPDATE")  # the run waits with its next write
        again = await two.start()
        found = await two.run(started.id)
    assert again.id == started.id
    assert found is not None
    assert found.state is RunState.RUNNING
    await one.wait()
    found = await two.run(started.id)
    assert found is not None
    assert (found.state, await two.current()) == (RunState.SUCCEEDED, None)


async def test_a_server_that_is_lost_holds_no_run(dsn: str, postgres: Cluster) -> None:
    database = PostgresDatabase(dsn)
    one, two = (database.run_lock(Path()) for _ in range(2))
    hold = await one.take()
    assert hold is not None
    assert (await two.is_held(), await two.take()) == (True, None)
    with psycopg.connect(postgres.dsn(), autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", [hold.raw.info.backend_pid])
    assert not await two.is_held()
    taken = await two.take()
    assert taken is not None
    for one_of in (hold, taken):
        one_of.close()
    async with asyncio.timeout(30):  # the database takes a moment to see that somebody has left
        while await one.is_held():
            pass
    database.close()


async def test_registries_in_schemas_of_one_database_do_not_wait_for_each_other(dsn: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA other")
    other = psycopg.conninfo.make_conninfo(dsn, options="-csearch_path=other")
    databases = [PostgresDatabase(url) for url in (dsn, other)]
    holds = [await one.run_lock(Path()).take() for one in databases]
    assert None not in holds
    for hold, database in zip(holds, databases, strict=True):
        assert hold is not None
        hold.close()
        database.close()
