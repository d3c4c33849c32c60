# SPDX-License-Identifier: Apache-2.0
"""Brings the tables of a database to the version of this program, step by step.

Migrations are files `migrations/NNNN_what.sql`, applied in order, each in one transaction with the
raised `PRAGMA user_version`. A released file is never changed: later files add.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from cais_registry.stores import snapshots
from cais_registry.stores.commits import Commits
from cais_registry.stores.schema import (
    REMEMBER,
    REMEMBERED,
    Applied,
    Migration,
    breaks,
    check_usable,
    numbered,
    statements,
)
from cais_registry.stores.sqlite import SqliteConnection, connect

_BACK = "go back to the copy from before with `cais-registry fsck --rebuild --force` of this one"


def scripts() -> dict[int, Migration]:
    """All migrations, by the version that each brings about."""
    return numbered(files(__package__) / "migrations")


def migrate(path: Path, *, keeps_copy: bool = True, commits: Commits | None = None) -> None:
    """Apply the migrations that a database lacks; safe when two processes do it at once.

    Args:
        path: The file; made when missing.
        keeps_copy: Whether it is copied before a migration after which older programs cannot run.
        commits: Where commits are counted.

    Raises:
        SchemaUnknown: If the database is newer than this program, and cannot be used by it.
        UnusableData: If there is no room for the copy; nothing was changed.
    """
    known = scripts()
    connection = connect(path, commits)
    try:
        found = _version(connection)
        check_usable(found, _applied(connection), known, where=str(path), back=_BACK)
        broken = breaks(found, known)
        if broken is not None and keeps_copy:
            snapshots.keep_before(path, broken)
        for migration in known.values():
            _apply(connection, migration)
    finally:
        connection.raw.close()


def _version(connection: SqliteConnection) -> int:
    return int(connection.raw.execute("PRAGMA user_version").fetchone()[0])


def _applied(connection: SqliteConnection) -> list[Applied]:
    table = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'schema_version'"
    if not connection.execute(table):
        return []
    rows = connection.execute("SELECT version, compatible_from, program FROM schema_version")
    return [Applied.of(row) for row in rows]


def _apply(connection: SqliteConnection, migration: Migration) -> None:
    version = migration.version
    if _version(connection) >= version:
        return
    connection.begin(write=True, now=0)
    try:
        if _version(connection) < version:  # another process may have been faster
            for statement in statements(migration.script):
                connection.raw.execute(statement)
            if version >= REMEMBERED:
                connection.execute(REMEMBER, migration.row)
            connection.raw.execute(f"PRAGMA user_version = {version}")
        connection.commit()
    finally:
        connection.rollback()
