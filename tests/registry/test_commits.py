# SPDX-License-Identifier: Apache-2.0
"""What is read of the shared count of commits is never that nothing happened when something did."""

from __future__ import annotations

import sqlite3
from collections.abc import Hashable
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from cais_registry.stores.commits import Commits
from cais_registry.stores.connection import Connection
from cais_registry.stores.database import microseconds
from cais_registry.stores.sqlite_database import SqliteDatabase


def add(name: str, connection: Connection) -> None:
    connection.execute(
        "INSERT INTO repository (name, created_at) VALUES (:name, :now)",
        {"name": name, "now": connection.now},
    )


def names(connection: Connection) -> list[str]:
    return [r["name"] for r in connection.execute("SELECT name FROM repository ORDER BY name")]


class Spied(SqliteDatabase):
    """Counts how often SQLite is asked."""

    asked = 0

    def _data_version(self) -> int:
        self.asked += 1
        return super()._data_version()


def opened(path: Path, commits: Commits) -> Spied:
    database = Spied.open(path, microseconds, commits)
    assert isinstance(database, Spied)
    return database


async def versions(database: SqliteDatabase, times: int = 3) -> set[Hashable]:
    return {await database.version() for _ in range(times)}


async def test_sqlite_is_asked_once_after_a_commit_and_not_again(tmp_path: Path) -> None:
    database = opened(tmp_path / "db", Commits())
    seen = [await versions(database)]
    for name in ("a", "b"):
        await database.write(partial(add, name))
        seen.append(await versions(database))
    assert [len(found) for found in seen] == [1, 1, 1]
    assert len(set.union(*seen)) == 3
    assert database.asked == 3
    database.close()


async def test_both_databases_of_a_count_see_what_the_other_writes(tmp_path: Path) -> None:
    commits = Commits()
    one, other = (opened(tmp_path / "db", commits) for _ in range(2))
    for number in range(20):
        await one.version()
        before = await other.version()
        await one.write(partial(add, f"a{number:02}"))
        assert await other.version() != before
        assert len(await other.read_one(names)) == number + 1
    one.close()
    other.close()


async def test_while_a_commit_is_made_sqlite_is_asked_each_time(tmp_path: Path) -> None:
    commits = Commits()
    database = opened(tmp_path / "db", commits)
    with commits.one():
        await versions(database, times=5)
        assert database.asked == 5
    await versions(database, times=5)
    assert database.asked == 6
    database.close()


@pytest.mark.parametrize("is_made", [False, True])
async def test_a_writer_killed_at_its_commit_leaves_nobody_with_what_was(
    tmp_path: Path, *, is_made: bool
) -> None:
    commits = Commits()
    database, killed = (opened(tmp_path / "db", commits) for _ in range(2))
    await versions(database)
    commits.one().__enter__()  # a process that does not come to what follows
    if is_made:
        with closing(sqlite3.connect(tmp_path / "db")) as connection:
            connection.execute("INSERT INTO repository (name, created_at) VALUES ('a', 0)")
            connection.commit()
    database.asked = 0
    assert len(await versions(database, times=5)) == 1
    assert database.asked == 5
    assert await database.read_one(names) == (["a"] if is_made else [])
    await killed.write(partial(add, "b"))  # whoever comes after it
    database.asked = 0
    await versions(database, times=5)
    assert database.asked == 1
    for each in (database, killed):
        each.close()


async def test_a_commit_that_fails_is_not_taken_for_one_that_was_made() -> None:
    commits = Commits()

    with pytest.raises(OSError, match="full"), commits.one():
        raise OSError("full")
    assert not commits.is_ended(commits.begun())
    with commits.one():
        pass
    assert commits.is_ended(commits.begun())


@pytest.mark.parametrize("is_late_last", [False, True])
def test_a_commit_that_tells_its_end_late_neither_ends_nor_hides_a_later_one(
    *, is_late_last: bool
) -> None:
    commits = Commits()
    late, later = commits.one(), commits.one()  # of two processes
    late.__enter__()
    later.__enter__()  # the first has freed the database's lock, and has not told so yet
    first, second = (later, late) if is_late_last else (late, later)
    first.__exit__(None, None, None)
    assert commits.is_ended(commits.begun()) == is_late_last
    second.__exit__(None, None, None)
    assert commits.is_ended(commits.begun())


def test_what_a_migration_commits_is_counted(tmp_path: Path) -> None:
    commits = Commits()
    opened(tmp_path / "db", commits).close()
    migrated = commits.begun()
    assert migrated > 0
    opened(tmp_path / "db", commits).close()
    assert commits.begun() == migrated
