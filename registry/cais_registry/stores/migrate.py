# SPDX-License-Identifier: Apache-2.0
"""Brings the tables of a database to the version of this program, step by step.

Migrations are files `migrations/NNNN_what.sql`, applied in order, each in one transaction with the
raised `PRAGMA user_version`. A released file is never changed: later files add.
"""

from __future__ import annotations

from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from cais_registry.stores.layout import UnusableData
from cais_registry.stores.sqlite import SqliteConnection, connect


class SchemaUnknown(UnusableData):
    """A newer version of the program has changed the tables."""


def scripts() -> dict[int, str]:
    """All migrations, by the version that each brings about."""
    return numbered(files(__package__) / "migrations")


def numbered(folder: Traversable) -> dict[int, str]:
    """The scripts `NNNN_what.sql` of a folder, by their numbers.

    Raises:
        ValueError: If two have the same number: one of them would never be applied.
    """
    found: dict[int, str] = {}
    for script in sorted(folder.iterdir(), key=lambda one: one.name):
        if not _is_script(script.name):
            continue
        number = int(script.name[:4])
        if number in found:
            raise ValueError(f"{script.name}: another migration has the number {number}")
        found[number] = script.read_text("utf-8")
    return found


def _is_script(name: str) -> bool:
    return name.endswith(".sql") and name[:4].isdigit()


def migrate(path: Path) -> None:
    """Apply the migrations that a database lacks; safe when two processes do it at once.

    Raises:
        SchemaUnknown: If the database is newer than this program.
    """
    known = scripts()
    connection = connect(path)
    try:
        for version, script in known.items():
            _apply(connection, version, script)
        found = _version(connection)
        if found > max(known):
            raise SchemaUnknown(
                f"{path} has schema {found}, this version knows up to {max(known)}: "
                "run the newer version that wrote it, or restore a backup from before"
            )
    finally:
        connection.raw.close()


def _version(connection: SqliteConnection) -> int:
    return int(connection.raw.execute("PRAGMA user_version").fetchone()[0])


def _apply(connection: SqliteConnection, version: int, script: str) -> None:
    if _version(connection) >= version:
        return
    connection.begin(write=True, now=0)
    try:
        if _version(connection) < version:  # another process may have been faster
            for statement in statements(script):
                connection.raw.execute(statement)
            connection.raw.execute(f"PRAGMA user_version = {version}")
        connection.commit()
    finally:
        connection.rollback()


def statements(script: str) -> list[str]:
    """Part a script into statements; they end with `;` at the end of a line."""
    lines = [line for line in script.splitlines() if not line.lstrip().startswith("--")]
    parts = "\n".join(lines).split(";\n")
    return [part.strip().rstrip(";") for part in parts if part.strip().rstrip(";")]
