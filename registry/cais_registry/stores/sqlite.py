# SPDX-License-Identifier: Apache-2.0
"""SQLite behind the `Connection` of this room."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Final

from cais_registry.model.errors import StorageFull
from cais_registry.stores.commits import Commits
from cais_registry.stores.connection import Params, Row

_MOST_FAULTS: Final = 20

BUSY_TIMEOUT_MS: Final = 30_000
"""How long one of two processes waits for the other one's short write."""

_SETTINGS: Final = (
    "PRAGMA journal_mode = WAL",  # readers never wait for the writer
    "PRAGMA synchronous = FULL",  # a commit survives a power loss
    "PRAGMA foreign_keys = ON",
    f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}",
    "PRAGMA journal_size_limit = 67108864",
    "PRAGMA cache_size = -2048",
    "PRAGMA trusted_schema = OFF",
)


class SqliteConnection:
    """One connection; used by one thread at a time."""

    def __init__(self, raw: sqlite3.Connection, commits: Commits | None) -> None:
        self.raw = raw
        self.now = 0
        self._commits = commits

    def execute(self, sql: str, params: Params | None = None) -> list[Row]:
        """See `Connection.execute`."""
        return self.raw.execute(sql, params or {}).fetchall()

    def rows(self, sql: str, params: Params | None = None) -> Iterator[Row]:
        """See `Connection.rows`."""
        return iter(self.raw.execute(sql, params or {}))

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open."""
        return self.raw.in_transaction

    def begin(self, *, write: bool, now: int) -> int:
        """Begin a transaction; a writing one waits here for other writers, not later."""
        self.raw.execute("BEGIN IMMEDIATE" if write else "BEGIN")
        self.now = now
        return 0

    def commit(self) -> None:
        """End the transaction; when it returns, the changes survive a power loss."""
        with nullcontext() if self._commits is None else self._commits.one():
            self.raw.execute("COMMIT")

    def rollback(self) -> None:
        """Undo the transaction, if one is still open."""
        with suppress(sqlite3.Error):
            if self.raw.in_transaction:
                self.raw.execute("ROLLBACK")

    def translated(self, error: Exception) -> Exception:
        """See `translated`."""
        return translated(error)

    def close(self) -> None:
        """Close it."""
        self.raw.close()


def connect(path: Path, commits: Commits | None = None) -> SqliteConnection:
    """Open a database file with the settings that the promises of the registry need.

    Args:
        path: The file.
        commits: Where its commits are counted, for other connections; None if nobody asks.
    """
    raw = sqlite3.connect(
        path, isolation_level=None, check_same_thread=False, cached_statements=256
    )
    raw.row_factory = sqlite3.Row
    for setting in _SETTINGS:
        raw.execute(setting)
    return SqliteConnection(raw, commits)


def faults(path: Path) -> list[str]:
    """What SQLite's own check finds wrong with a database that nobody uses; some of it."""
    try:
        raw = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
        try:
            found = [str(row[0]) for row in raw.execute("PRAGMA integrity_check(20)")]
            broken = raw.execute("PRAGMA foreign_key_check").fetchmany(_MOST_FAULTS)
        finally:
            raw.close()
    except sqlite3.Error as error:
        return [str(error)]
    lost = [
        f"row {row[1]} of {row[0]} refers to a row of {row[2]} that is not there" for row in broken
    ]
    return [line for line in found if line != "ok"] + lost


def translated(error: Exception) -> Exception:
    """Turn "the disk is full" into the registry's own error; anything else stays as it is."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is not None and code & 0xFF == sqlite3.SQLITE_FULL:
        return StorageFull("the registry's disk is full: delete images and collect garbage")
    return error
