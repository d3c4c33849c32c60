# SPDX-License-Identifier: Apache-2.0
"""What every database behind the stores has to do; whoever collects these gives `database`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from cais_registry.stores.connection import Connection
from cais_registry.stores.database import Database


def add(name: str) -> Callable[[Connection], int]:
    def work(connection: Connection) -> int:
        rows = connection.execute(
            "INSERT INTO repository (name, created_at) VALUES (:name, :now) RETURNING id",
            {"name": name, "now": connection.now},
        )
        return int(rows[0]["id"])

    return work


def names(connection: Connection) -> list[str]:
    return [r["name"] for r in connection.execute("SELECT name FROM repository ORDER BY name")]


class Wrong(Exception):  # noqa: N818 - stands for any error of a caller
    pass


def fail_after(name: str) -> Callable[[Connection], None]:
    def work(connection: Connection) -> None:
        add(name)(connection)
        raise Wrong

    return work


async def test_what_was_written_is_read(database: Database) -> None:
    assert await database.write(add("a")) == 1
    assert await database.read(names) == ["a"]
    assert await database.read_one(names) == ["a"]
    assert await database.read_slowly(names) == ["a"]


async def test_two_statements_without_a_snapshot_are_refused(database: Database) -> None:
    def twice(connection: Connection) -> None:
        for _ in range(2):
            connection.execute("SELECT 1 AS one")

    with pytest.raises(RuntimeError, match="snapshot"):
        await database.read_one(twice)
    assert await database.read_one(lambda found: len(list(found.rows("SELECT 1 AS one")))) == 1


async def test_a_write_that_fails_changes_nothing_and_harms_no_other(database: Database) -> None:
    results = await asyncio.gather(
        *(database.write(fail_after(f"x{n}") if n % 3 else add(f"a{n:02}")) for n in range(30)),
        return_exceptions=True,
    )
    assert [isinstance(result, Wrong) for result in results] == [n % 3 != 0 for n in range(30)]
    assert await database.read(names) == [f"a{n:02}" for n in range(0, 30, 3)]


async def test_a_broken_reference_is_refused(database: Database) -> None:
    def work(connection: Connection) -> None:
        connection.execute(
            "INSERT INTO repo_blob (repo_id, digest, created_at, touched_at)"
            " VALUES (1, 'sha256:00', 0, 0)"
        )

    with pytest.raises(Exception, match=r"(?i)foreign key"):
        await database.write(work)


async def test_no_two_writes_share_a_time_and_none_is_after_now(database: Database) -> None:
    times = await asyncio.gather(*(database.write(lambda c: c.now) for _ in range(200)))
    assert len(set(times)) == 200
    assert list(times) == sorted(times)
    assert max(times) <= database.now()


async def test_a_reader_sees_one_moment(database: Database) -> None:
    await database.write(add("a"))
    seen: list[list[str]] = []
    wrote = asyncio.Event()
    loop = asyncio.get_running_loop()

    def work(connection: Connection) -> None:
        seen.append(names(connection))
        asyncio.run_coroutine_threadsafe(database.write(add("b")), loop).result(60)
        loop.call_soon_threadsafe(wrote.set)
        seen.append(names(connection))

    await database.read_slowly(work)
    await wrote.wait()
    assert seen == [["a"], ["a"]]
    assert await database.read(names) == ["a", "b"]


async def test_a_reader_cannot_leave_a_change_behind(database: Database) -> None:
    await database.read(add("a"))
    assert await database.read(names) == []


async def test_whoever_stops_waiting_harms_nobody(database: Database) -> None:
    tasks = [asyncio.create_task(database.write(add(f"a{n}"))) for n in range(20)]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    done = await asyncio.gather(*tasks, return_exceptions=True)
    assert sum(isinstance(result, int) for result in done) >= 10
    assert len(await database.read(names)) >= 10


async def test_rows_are_handed_out_one_by_one(database: Database) -> None:
    await asyncio.gather(*(database.write(add(f"a{n}")) for n in range(5)))
    first = await database.read(
        lambda c: next(c.rows("SELECT name FROM repository ORDER BY name"))["name"]
    )
    assert first == "a0"
