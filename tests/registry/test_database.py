# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from cais_registry.model.errors import StorageFull
from cais_registry.stores.connection import Connection
from cais_registry.stores.sqlite import SqliteConnection
from cais_registry.stores.sqlite_database import SqliteDatabase
from cais_registry.stores.writer import MAX_BATCH, Job


def raw_of(database: SqliteDatabase) -> sqlite3.Connection:
    connection = database._writer._connection
    assert isinstance(connection, SqliteConnection)
    return connection.raw


def fill(size: int) -> str:
    return f"INSERT INTO gc_run (id, state, dry_run, started_at) VALUES (hex(randomblob({size})), '', 0, 0)"  # noqa: E501, S608 - numbers only


async def test_writes_that_wait_share_commits(tmp_path: Path) -> None:
    database = SqliteDatabase.open(tmp_path / "db")
    commits: list[int] = []
    inner = database._writer._transact

    def counted(batch: list[Job], do: Callable[[Job], None]) -> None:
        commits.append(len(batch))
        inner(batch, do)

    database._writer._transact = counted  # type: ignore[method-assign] # spied upon
    await asyncio.gather(*(database.write(lambda c: c.now) for _ in range(500)))
    database.close()
    assert sum(commits) == 500
    assert max(commits) <= MAX_BATCH
    assert len(commits) < 250


async def test_a_full_disk_is_told_as_such_and_changes_nothing(tmp_path: Path) -> None:
    database = SqliteDatabase.open(tmp_path / "db")
    pages = raw_of(database).execute("PRAGMA page_count").fetchone()[0]
    raw_of(database).execute(f"PRAGMA max_page_count = {pages + 4}")

    def big(connection: Connection) -> None:
        connection.execute(fill(100_000))

    def small(connection: Connection) -> None:
        connection.execute(fill(8))

    results = await asyncio.gather(
        *(database.write(big if n == 3 else small) for n in range(8)), return_exceptions=True
    )
    assert [type(r) for r in results if r is not None] == [StorageFull]
    count = await database.read(lambda c: c.execute("SELECT COUNT(*) AS n FROM gc_run")[0]["n"])
    assert count == 7
    await database.write(small)
    database.close()
    assert sqlite3.connect(tmp_path / "db").execute("PRAGMA integrity_check").fetchone()[0] == "ok"


async def test_commits_survive_a_power_loss(tmp_path: Path) -> None:
    database = SqliteDatabase.open(tmp_path / "db")
    settings = {
        name: raw_of(database).execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("journal_mode", "synchronous", "foreign_keys")
    }
    database.close()
    assert settings == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}


async def test_closing_finishes_what_was_handed_over(tmp_path: Path) -> None:
    database = SqliteDatabase.open(tmp_path / "db")
    tasks = [asyncio.create_task(database.write(lambda c: c.execute(fill(8)))) for _ in range(100)]
    await asyncio.sleep(0)
    database.close()
    await asyncio.gather(*tasks)
    again = SqliteDatabase.open(tmp_path / "db")
    assert await again.read(lambda c: c.execute("SELECT COUNT(*) AS n FROM gc_run")[0]["n"]) == 100
    again.close()


async def test_time_never_goes_back_though_the_clock_does(tmp_path: Path) -> None:
    times = iter([1000, 900, 2000])
    database = SqliteDatabase.open(tmp_path / "db", clock=lambda: next(times, 500))
    seen = [await database.write(lambda c: c.now) for _ in range(6)]
    assert seen == sorted(set(seen))
    assert database.now() >= seen[-1]
    database.close()


def test_what_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "db").write_bytes(b"something else" * 1000)
    with pytest.raises(sqlite3.DatabaseError):
        SqliteDatabase.open(tmp_path / "db")
