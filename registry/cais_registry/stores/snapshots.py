# SPDX-License-Identifier: Apache-2.0
"""Copies of the embedded database on the same volume, for the day when it is damaged."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cais_registry.stores.files import check_room
from cais_registry.stores.layout import sync_folder

FOLDER: Final = "snapshots"
INTERVAL_SECONDS: Final = 3600
KEPT: Final = 3


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
        unfinished.unlink(missing_ok=True)
        with (
            closing(sqlite3.connect(self._database)) as source,
            closing(sqlite3.connect(unfinished)) as target,
        ):
            source.backup(target)
        os.utime(unfinished, (seconds, seconds))
        with unfinished.open("rb+") as file:
            os.fsync(file.fileno())
        unfinished.rename(path)
        sync_folder(self._folder)
        for old in self.taken()[:-KEPT]:
            old.unlink()
        self.newest = float(seconds)
        return path

    def taken(self) -> list[Path]:
        """Those that are there, the oldest first."""
        return sorted(self._folder.glob("metadata-*.sqlite3"))

    def _written(self) -> float:
        """When the database was written to last; its log counts as well."""
        log = self._database.with_name(f"{self._database.name}-wal")
        return max(path.stat().st_mtime for path in (self._database, log) if path.exists())
