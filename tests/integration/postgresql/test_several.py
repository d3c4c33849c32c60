# SPDX-License-Identifier: Apache-2.0
"""Several servers over one PostgreSQL, and its tables beside those of SQLite."""

from __future__ import annotations

import asyncio
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from cais_registry.model.errors import Unavailable
from cais_registry.stores import postgresql_migrate
from cais_registry.stores.connection import Connection
from cais_registry.stores.postgresql_database import PostgresDatabase
from cais_registry.stores.schema import SchemaUnknown
from cais_registry.stores.sqlite_database import SqliteDatabase
from registry.test_stateful import Schedule
from support.postgresql import Cluster


def count_up(connection: Connection) -> int:
    """Read and write back what was read: loses updates unless writes are serial."""
    rows = connection.execute("SELECT size FROM tombstone WHERE storage_key = 'n'")
    if not rows:
        connection.execute(
            "INSERT INTO tombstone (storage_key, size, created_at, reason)"
            " VALUES ('n', 1, 0, 'test')"
        )
        return connection.now
    connection.execute(
        "UPDATE tombstone SET size = :size WHERE storage_key = 'n'", {"size": rows[0]["size"] + 1}
    )
    return connection.now


async def test_writes_of_several_servers_are_serial_and_share_no_time(dsn: str) -> None:
    times = iter(range(1000, 10_000))
    servers = [PostgresDatabase(dsn), PostgresDatabase(dsn, clock=lambda: next(times))]
    done = await asyncio.gather(*(servers[n % 2].write(count_up) for n in range(400)))
    assert len(set(done)) == 400
    rows = await servers[0].read(lambda c: c.execute("SELECT size FROM tombstone"))
    assert rows[0]["size"] == 400
    for server in servers:
        server.close()


async def test_what_one_server_wrote_the_other_one_reads_at_once(dsn: str) -> None:
    servers = [PostgresDatabase(dsn), PostgresDatabase(dsn)]
    for n in range(1, 50):
        await servers[n % 2].write(count_up)
        rows = await servers[1 - n % 2].read(lambda c: c.execute("SELECT size FROM tombstone"))
        assert rows[0]["size"] == n
    for server in servers:
        server.close()


async def test_a_commit_whose_outcome_is_unknown_is_not_acknowledged(
    dsn: str, postgres: Cluster
) -> None:
    database = PostgresDatabase(dsn)
    await database.write(count_up)

    def cut(connection: Connection) -> None:
        count_up(connection)
        own = connection.execute("SELECT pg_backend_pid() AS pid")[0]["pid"]
        with psycopg.connect(postgres.dsn(), autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(%s, 5000)", [own])

    with pytest.raises(Unavailable):
        await database.write(cut)
    rows = await database.read(lambda c: c.execute("SELECT size FROM tombstone"))
    assert rows[0]["size"] == 1
    await database.write(count_up)
    database.close()


def test_several_servers_may_migrate_at_once(dsn: str) -> None:
    with ThreadPoolExecutor(6) as pool:
        for database in list(pool.map(PostgresDatabase, [dsn] * 6)):
            database.close()


def test_bytes_of_an_older_database_are_counted(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    known = postgresql_migrate.scripts()
    since = next(number for number, one in known.items() if "TABLE usage" in one.script)
    older = {number: text for number, text in known.items() if number < since}
    with monkeypatch.context() as patch:
        patch.setattr(postgresql_migrate, "scripts", lambda: older)
        PostgresDatabase(dsn).close()
    with psycopg.connect(dsn, autocommit=True) as connection:
        insert = (
            "INSERT INTO blob (digest, size, storage_key, created_at, verified_at)"
            " VALUES (%s, 100, %s, 0, 0)"
        )
        connection.execute(insert, ["one", "k1"])
        PostgresDatabase(dsn).close()
        assert connection.execute("SELECT bytes FROM usage").fetchone() == (100,)
        connection.execute(insert, ["two", "k2"])  # as a server of the version before does
        connection.execute("UPDATE blob SET size = 30 WHERE digest = 'one'")
        assert connection.execute("SELECT bytes FROM usage").fetchone() == (130,)
        connection.execute("DELETE FROM blob")
        assert connection.execute("SELECT bytes FROM usage").fetchone() == (0,)


def test_a_database_of_a_newer_version_is_refused_with_what_to_do(dsn: str) -> None:
    PostgresDatabase(dsn).close()
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("INSERT INTO schema_version (version) VALUES (99)")
    with pytest.raises(SchemaUnknown, match=r"schema 99, and .* this one, .*, knows up to"):
        PostgresDatabase(dsn)


def test_both_databases_have_the_same_columns_and_keys(dsn: str, tmp_path: Path) -> None:
    PostgresDatabase(dsn).close()
    SqliteDatabase.open(tmp_path / "db").close()
    with psycopg.connect(dsn) as connection:
        there = connection.execute(
            "SELECT table_name, column_name, is_nullable FROM information_schema.columns"
            " WHERE table_schema = 'public' AND table_name <> 'clock'"
        ).fetchall()
        indexes = connection.execute(
            "SELECT indexname FROM pg_indexes WHERE schemaname = 'public'"
            " AND indexname NOT LIKE '%\\_pkey' AND indexname NOT LIKE '%\\_key'"
        ).fetchall()
        foreign = connection.execute(
            "SELECT COUNT(*) FROM pg_constraint WHERE contype = 'f'"
        ).fetchone()
    raw = sqlite3.connect(tmp_path / "db")
    here = raw.execute(
        "SELECT m.name, c.name, CASE WHEN c.\"notnull\" OR c.pk THEN 'NO' ELSE 'YES' END"
        " FROM sqlite_master m, pragma_table_info(m.name) c"
        " WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite%'"
    ).fetchall()
    ours = raw.execute(
        "SELECT name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
    ).fetchall()
    tables = {name for name, _, _ in here}
    keys = sum(
        len({row[0] for row in raw.execute(f"PRAGMA foreign_key_list({name})")}) for name in tables
    )
    raw.close()
    assert sorted(there) == sorted(here)
    assert sorted(indexes) == sorted(ours)
    assert foreign == (keys,)


def test_any_schedule_keeps_what_must_be_kept(postgres: Cluster) -> None:
    made = iter(range(1_000_000))

    class OnPostgres(Schedule):
        make_database = staticmethod(lambda: postgres.create(f"schedule_{next(made)}"))

    run_state_machine_as_test(
        OnPostgres,
        settings=settings(
            max_examples=8,
            stateful_step_count=20,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        ),
    )
