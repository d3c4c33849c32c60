# SPDX-License-Identifier: Apache-2.0
"""Copies of the embedded database on the same volume, for the day when it is damaged."""

from __future__ import annotations

import os
import sqlite3
import threading
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cais_registry.stores.files import check_room
from cais_registry.stores.folders import sync_folder
from cais_registry.stores.layout import UnusableData

FOLDER: Final = "snapshots"
INTERVAL_SECONDS: Final = 3600
KEPT: Final = 3
_BEFORE: Final = "before-schema-"


class Snapshots:
    """Takes one an hour at most, and only when something was written since the last one.

    Attributes:
        newest: When the newest one was taken, in seconds since 1970, as of the last look; None
            when there was none.
    """

    def __init__(self, database: Path) -> None:
        """Prepare; the folder `snapshots` beside the database is made when there is one to keep.

        Args:
            database: The file of the database.
        """
        self._database = database
        self._folder = database.parent / FOLDER
        self.newest: float | None = None

    def take(self, now: int) -> Path | None:
        """Take a snapshot if one is due; blocks, while reads and writes of others go on.

        Args:
            now: Microseconds since 1970.

        Returns:
            The snapshot, durable; None if none is due.

        Raises:
            OSError: If it cannot be written: only the reserve for deletions is left, say.
            sqlite3.Error: If the database cannot be read.
        """
        seconds = now // 1_000_000
        taken = self.taken()
        self.newest = newest = taken[-1].stat().st_mtime if taken else None
        if newest is not None and seconds - int(newest) < INTERVAL_SECONDS:
            return None
        if newest is not None and self._written() <= newest:
            return None
        check_room(os.statvfs(self._database.parent), 2 * self._database.stat().st_size)
        return self._take(seconds)

    def _take(self, seconds: int) -> Path:
        self._folder.mkdir(exist_ok=True)
        sync_folder(self._folder.parent)
        name = datetime.fromtimestamp(seconds, UTC).strftime("metadata-%Y%m%dT%H%M%SZ.sqlite3")
        unfinished, path = self._folder / "unfinished", self._folder / name
        _copy(self._database, unfinished)
        os.utime(unfinished, (seconds, seconds))
        _finish(unfinished, path)
        for old in self.taken()[:-KEPT]:
            old.unlink()
        self.newest = float(seconds)
        return path

    def taken(self) -> list[Path]:
        """Those that are there, the oldest first."""
        return sorted(self._folder.glob("metadata-*.sqlite3"))

    def all(self) -> list[Path]:
        """Those that are there, the oldest first, after the copy from before an upgrade."""
        return [*self._folder.glob(f"{_BEFORE}*.sqlite3"), *self.taken()]

    def _written(self) -> float:
        """When the database was written to last; its log counts as well."""
        log = self._database.with_name(f"{self._database.name}-wal")
        return max(path.stat().st_mtime for path in (self._database, log) if path.exists())


def keep_before(database: Path, schema: int) -> None:
    """Copy a database before a migration after which older programs cannot run; one copy is kept.

    Args:
        database: The file of the database.
        schema: The version that it is about to get.

    Raises:
        UnusableData: If there is no room.
    """
    folder = database.parent / FOLDER
    unfinished = folder / f"unfinished-{os.getpid()}-{threading.get_ident()}"
    try:
        check_room(os.statvfs(database.parent), 2 * database.stat().st_size)
        folder.mkdir(exist_ok=True)
        sync_folder(folder.parent)
        _copy(database, unfinished)
        if _schema(unfinished) >= schema:  # another process was faster, and has kept its copy
            unfinished.unlink()
            return
        path = folder / f"{_BEFORE}{schema:04}.sqlite3"
        _finish(unfinished, path)
        for old in set(folder.glob(f"{_BEFORE}*.sqlite3")) - {path}:
            old.unlink()
    except (OSError, sqlite3.OperationalError) as error:
        unfinished.unlink(missing_ok=True)
        raise UnusableData(
            f"{database} has to be copied before this version changes it, so that there is a way "
            f"back, and that failed: {error}; nothing was changed: make room on the volume, or run "
            "the version from before"
        ) from error


def _copy(database: Path, path: Path) -> None:
    path.unlink(missing_ok=True)
    with closing(sqlite3.connect(database)) as source, closing(sqlite3.connect(path)) as target:
        source.backup(target)


def _finish(unfinished: Path, path: Path) -> None:
    """Make a copy durable, then give it its name."""
    with unfinished.open("rb+") as file:
        os.fsync(file.fileno())
    unfinished.rename(path)
    sync_folder(path.parent)


def _schema(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])
