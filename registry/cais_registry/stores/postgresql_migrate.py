# SPDX-License-Identifier: Apache-2.0
"""Brings the tables of a PostgreSQL database to the version of this program."""

from __future__ import annotations

from importlib.resources import files
from typing import Final

from cais_registry.stores.migrate import SchemaUnknown, numbered, statements
from cais_registry.stores.postgresql import PostgresConnection

_LOCK: Final = 0x63616973
"""Key of the advisory lock that one server at a time migrates under: `cais` in ASCII."""


def scripts() -> dict[int, str]:
    """All migrations for PostgreSQL, by the version that each brings about."""
    return numbered(files(__package__) / "migrations" / "postgresql")


def migrate(connection: PostgresConnection) -> None:
    """Apply the migrations that a database lacks; safe when several servers do it at once.

    Raises:
        SchemaUnknown: If the database is newer than this program.
    """
    known = scripts()
    with connection.raw.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(:key)", {"key": _LOCK})
        connection.execute("CREATE TABLE IF NOT EXISTS schema_version (version BIGINT PRIMARY KEY)")
        rows = connection.execute("SELECT COALESCE(MAX(version), 0) AS v FROM schema_version")
        found = int(rows[0]["v"])
        if found > max(known):
            raise SchemaUnknown(
                f"the database has schema {found}, this version knows up to {max(known)}: "
                "run the newer version that wrote it, or restore a backup from before"
            )
        for version, script in known.items():
            if version > found:
                for statement in statements(script):
                    connection.execute(statement)
                connection.execute(
                    "INSERT INTO schema_version (version) VALUES (:version)", {"version": version}
                )
