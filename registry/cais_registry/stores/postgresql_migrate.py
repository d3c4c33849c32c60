# SPDX-License-Identifier: Apache-2.0
"""Brings the tables of a PostgreSQL database to the version of this program."""

from __future__ import annotations

from importlib.resources import files
from typing import Final

from cais_registry.stores.postgresql import PostgresConnection
from cais_registry.stores.schema import (
    REMEMBER,
    REMEMBERED,
    Applied,
    Migration,
    check_usable,
    numbered,
    statements,
)

_LOCK: Final = 0x63616973
"""Key of the advisory lock that one server at a time migrates under: `cais` in ASCII."""

_BACK: Final = "restore a backup of the database from before"


def scripts() -> dict[int, Migration]:
    """All migrations for PostgreSQL, by the version that each brings about."""
    return numbered(files(__package__) / "migrations" / "postgresql")


def migrate(connection: PostgresConnection) -> None:
    """Apply the migrations that a database lacks; safe when several servers do it at once.

    Raises:
        SchemaUnknown: If the database is newer than this program, and cannot be used by it.
    """
    known = scripts()
    with connection.raw.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(:key)", {"key": _LOCK})
        connection.execute("CREATE TABLE IF NOT EXISTS schema_version (version BIGINT PRIMARY KEY)")
        rows = connection.execute("SELECT COALESCE(MAX(version), 0) AS v FROM schema_version")
        found = int(rows[0]["v"])
        if found >= max(known):
            check_usable(found, _applied(connection), known, where="the database", back=_BACK)
        for migration in known.values():
            if migration.version > found:
                _apply(connection, migration)


def _applied(connection: PostgresConnection) -> list[Applied]:
    """What the database remembers; a row of before `REMEMBERED` lacks the columns or is no news."""
    rows = connection.execute("SELECT to_jsonb(s) AS seen FROM schema_version s")
    found = (row["seen"] for row in rows)
    return [Applied.of(row) for row in found if "compatible_from" in row]


def _apply(connection: PostgresConnection, migration: Migration) -> None:
    for statement in statements(migration.script):
        connection.execute(statement)
    row = migration.row
    if migration.version < REMEMBERED:
        connection.execute("INSERT INTO schema_version (version) VALUES (:version)", row)
        return
    connection.execute(REMEMBER, row)
