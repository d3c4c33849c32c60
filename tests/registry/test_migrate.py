# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files
from pathlib import Path

import pytest

from cais_registry.stores import migrate as module
from cais_registry.stores.migrate import migrate, scripts
from cais_registry.stores.schema import SchemaUnknown, migration, numbered, statements

USAGE = next(n for n, text in scripts().items() if "TABLE usage" in text.script)


def version(path: Path) -> int:
    connection = sqlite3.connect(path)
    found = connection.execute("PRAGMA user_version").fetchone()[0]
    connection.close()
    return int(found)


def test_a_new_database_gets_all_migrations_and_a_second_time_none(tmp_path: Path) -> None:
    for _ in range(2):
        migrate(tmp_path / "db")
        assert version(tmp_path / "db") == max(scripts())


def test_migrations_are_numbered_without_a_gap() -> None:
    assert list(scripts()) == list(range(1, len(scripts()) + 1))


def test_two_migrations_of_one_number_are_seen_and_none_is_left_out(tmp_path: Path) -> None:
    for name in ("0001_a.sql", "0002_b.sql", "0002_c.sql"):
        (tmp_path / name).write_text(f"-- {name}\n")
    with pytest.raises(ValueError, match=r"0002_c\.sql: another migration has the number 2"):
        numbered(tmp_path)
    (tmp_path / "0002_c.sql").rename(tmp_path / "0003_c.sql")
    assert list(numbered(tmp_path)) == [1, 2, 3]


def test_each_migration_is_there_for_both_databases() -> None:
    folder = files("cais_registry.stores") / "migrations"
    assert list(numbered(folder / "postgresql")) == list(numbered(folder))


def test_a_database_of_a_newer_version_is_refused_with_what_to_do(tmp_path: Path) -> None:
    migrate(tmp_path / "db")
    connection = sqlite3.connect(tmp_path / "db")
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(SchemaUnknown, match=r"schema 99, and .* this one, .*, knows up to"):
        migrate(tmp_path / "db")
    assert version(tmp_path / "db") == 99


def test_a_migration_that_fails_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, bad = "CREATE TABLE a (x);\n", "CREATE TABLE b (x);\nCREATE TABLE a (x);\n"
    monkeypatch.setattr(module, "scripts", lambda: {1: migration(1, good), 2: migration(2, bad)})
    with pytest.raises(sqlite3.OperationalError, match="already exists"):
        migrate(tmp_path / "db")
    connection = sqlite3.connect(tmp_path / "db")
    tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    connection.close()
    assert tables == [("a",)]
    assert version(tmp_path / "db") == 1


def test_several_processes_may_migrate_at_once(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(migrate, [tmp_path / "db"] * 8))
    assert version(tmp_path / "db") == max(scripts())


def test_bytes_of_an_older_database_are_counted_and_those_that_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also those that an older program writes, which knows nothing of the count."""
    older = {number: text for number, text in scripts().items() if number < USAGE}
    with monkeypatch.context() as patch:
        patch.setattr(module, "scripts", lambda: older)
        migrate(tmp_path / "db")
    write(tmp_path / "db", *rows(1))
    migrate(tmp_path / "db")
    assert write(tmp_path / "db", "SELECT bytes FROM usage") == [(107,)]
    write(tmp_path / "db", *rows(2))
    assert write(tmp_path / "db", "SELECT bytes FROM usage") == [(214,)]
    write(tmp_path / "db", "DELETE FROM manifest", "UPDATE blob SET size = 1")
    assert write(tmp_path / "db", "SELECT bytes FROM usage") == [(2,)]


def write(path: Path, *script: str) -> list[tuple[int]]:
    connection = sqlite3.connect(path)
    with connection:
        for statement in script:
            found: list[tuple[int]] = connection.execute(statement).fetchall()
    connection.close()
    return found


ROWS = """
INSERT INTO repository (id, name, created_at) VALUES (N, 'rN', 0);
INSERT INTO blob (digest, size, storage_key, created_at, verified_at)
    VALUES ('bN', 100, 'kN', 0, 0);
INSERT INTO manifest (repo_id, digest, media_type, annotations, size, storage_key, created_at,
    touched_at, content) VALUES (N, 'm', 't', '', 7, 'mN', 0, 0, '')
"""


def rows(number: int) -> list[str]:
    """A repository with a blob of 100 bytes and a manifest of 7."""
    return ROWS.replace("N,", f"{number},").replace("N'", f"{number}'").split(";")


def test_scripts_are_parted_into_statements() -> None:
    script = (
        "-- why;\nCREATE TABLE a (\n    -- not this;\n    x TEXT\n);\n\nINSERT INTO a VALUES (1);\n"
    )
    assert statements(script) == ["CREATE TABLE a (\n    x TEXT\n)", "INSERT INTO a VALUES (1)"]
