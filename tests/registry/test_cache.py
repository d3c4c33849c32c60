# SPDX-License-Identifier: Apache-2.0
"""What is remembered is never older than the last commit, whoever made it."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
import tempfile
from contextlib import closing
from functools import partial
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from cais_registry.services.cache import MOST_BYTES, Cache
from cais_registry.stores.commits import Commits
from cais_registry.stores.connection import Connection, Params
from cais_registry.stores.database import Database
from cais_registry.stores.sqlite import SqliteConnection, connect
from cais_registry.stores.sqlite_database import SqliteDatabase

_PUT = (
    "INSERT INTO fact (name, value) VALUES (:name, :value)"
    " ON CONFLICT (name) DO UPDATE SET value = excluded.value"
)
NAMES = st.sampled_from("ab")
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("read"), NAMES),
        st.tuples(st.just("own write"), NAMES),
        st.tuples(st.just("other's write"), NAMES),
        st.tuples(st.just("other's deletion"), NAMES),
    ),
    max_size=30,
)


def _put(name: str, value: int, connection: Connection) -> None:
    connection.execute(_PUT, {"name": name, "value": value})


def _get(name: str, connection: Connection) -> int | None:
    rows = connection.execute("SELECT value FROM fact WHERE name = :name", {"name": name})
    return rows[0]["value"] if rows else None


def _open(path: Path, commits: Commits | None = None) -> Database:
    database = SqliteDatabase.open(path, commits=commits)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE fact (name TEXT PRIMARY KEY, value INTEGER)")
    return database


def _commit(other: SqliteConnection, sql: str, params: Params) -> None:
    other.begin(write=True, now=0)
    other.execute(sql, params)
    other.commit()


async def _drive(path: Path, steps: list[tuple[str, str]], commits: Commits | None) -> None:
    database = _open(path, commits)
    cache: Cache[int] = Cache(database)
    truth: dict[str, int] = {}
    with closing(connect(path, commits)) as other:
        for number, (step, name) in enumerate(steps):
            if step == "read":
                assert await cache.read(name, partial(_get, name)) == truth.get(name)
            elif step == "own write":
                await database.write(partial(_put, name, number))
                truth[name] = number
            elif step == "other's write":
                _commit(other, _PUT, {"name": name, "value": number})
                truth[name] = number
            else:
                _commit(other, "DELETE FROM fact WHERE name = :name", {"name": name})
                truth.pop(name, None)
    database.close()


@settings(max_examples=150, deadline=None)
@given(steps=STEPS, is_counted=st.booleans())
def test_no_interleaving_of_writers_and_reads_serves_what_is_gone(
    steps: list[tuple[str, str]], *, is_counted: bool
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "facts.sqlite"
        asyncio.run(_drive(path, steps, Commits() if is_counted else None))


async def test_a_commit_of_another_process_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "facts.sqlite"
    database = _open(path)
    cache: Cache[int] = Cache(database)
    await database.write(partial(_put, "a", 1))
    assert await cache.read("a", partial(_get, "a")) == 1
    program = (
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]);"
        " c.execute('UPDATE fact SET value = 2'); c.commit(); c.close()"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program, path)
    assert await process.wait() == 0
    assert await cache.read("a", partial(_get, "a")) == 2
    database.close()


async def test_what_has_not_changed_is_not_read_again(tmp_path: Path) -> None:
    database = _open(tmp_path / "facts.sqlite")
    cache: Cache[int] = Cache(database)
    await database.write(partial(_put, "a", 1))
    reads = []

    def work(connection: Connection) -> int | None:
        reads.append("a")
        return _get("a", connection)

    assert [await cache.read("a", work) for _ in range(3)] == [1, 1, 1]
    assert len(reads) == 1
    database.close()


async def test_what_is_remembered_is_bounded(tmp_path: Path) -> None:
    database = _open(tmp_path / "facts.sqlite")
    cache: Cache[bytes] = Cache(database, weigh=len)
    for number in range(100):
        await cache.read(number, lambda _: bytes(200_000))
        assert sum(map(len, cache._entries.values())) <= MOST_BYTES
    await cache.read("too large", lambda _: bytes(MOST_BYTES // 8))
    assert "too large" not in cache._entries
    database.close()
