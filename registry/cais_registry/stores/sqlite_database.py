# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from cais_registry.stores.commits import Commits
from cais_registry.stores.connection import Connection
from cais_registry.stores.database import MAX_WAITING, Database, microseconds
from cais_registry.stores.migrate import migrate
from cais_registry.stores.once import Once
from cais_registry.stores.run_lock import FileLock
from cais_registry.stores.sqlite import SqliteConnection, connect, translated
from cais_registry.stores.writer import Job, WriteCounts, Writer

T = TypeVar("T")


class SqliteDatabase(Database):
    """SQLite in a file."""

    def __init__(self, path: Path, clock: Callable[[], int], commits: Commits | None) -> None:
        self._path = path
        self._clock = clock
        self._commits = commits
        self._counted: int | None = None
        self._found: Hashable = None
        self._reader = connect(path)
        self._version = self._reader.raw.cursor()
        self._writer = Writer(connect(path, commits), clock)
        self._waiting = asyncio.Semaphore(MAX_WAITING)
        self._slow: tuple[ThreadPoolExecutor, SqliteConnection] | None = None

    @classmethod
    def open(
        cls, path: Path, clock: Callable[[], int] = microseconds, commits: Commits | None = None
    ) -> SqliteDatabase:
        """Open a database, make or migrate its tables first if need be.

        Args:
            path: The file; made when missing, its folder exists.
            clock: Gives microseconds since 1970.
            commits: Shared by all who write to this file, at any time; None: others may write.

        Raises:
            SchemaUnknown: If a newer version of the program has changed the tables.
            sqlite3.Error: If the file is no database.
        """
        migrate(path, commits=commits)
        return cls(path, clock, commits)

    def now(self) -> int:
        """The time, in microseconds since 1970; not before any write that is done."""
        return max(self._clock(), self._writer.last)

    async def version(self) -> Hashable | None:
        """See `Database.version`: a number that SQLite keeps for each connection.

        SQLite is asked only where commits were counted since, or are not: while it answers, other
        threads take the interpreter, which costs a third of a request.
        """
        commits = self._commits
        if commits is None:
            return self._data_version()
        begun = commits.begun()
        if begun != self._counted:
            self._counted = begun if commits.is_ended(begun) else None  # before SQLite is asked
            self._found = self._data_version()
        return self._found

    def _data_version(self) -> int:
        # differs for a connection once another one has committed; the one that reads never does
        found: int = self._version.execute("PRAGMA data_version").fetchone()[0]
        return found

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run a short function over one snapshot (point queries, pages: microseconds)."""
        return _snapshot(self._reader, work, self.now())

    async def read_one(self, work: Callable[[Connection], T]) -> T:
        """Run a function of one statement, without a transaction around it.

        Raises:
            RuntimeError: If the function runs a second statement: it may see another snapshot.
        """
        try:
            return work(Once(self._reader, self.now()))
        except Exception as error:
            raise translated(error) from error

    async def read_slowly(self, work: Callable[[Connection], T]) -> T:
        """Run a function that may take long over one snapshot, away from the event loop."""
        if self._slow is None:
            self._slow = (ThreadPoolExecutor(1, "cais-reader"), connect(self._path))
        pool, connection = self._slow
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(pool, _snapshot, connection, work, self.now())

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Run a function in a transaction; return its result once that survives a power loss.

        Raises:
            StorageFull: If the disk is full; nothing was changed.
            Exception: Whatever the function raises; nothing was changed.
        """
        async with self._waiting:
            future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
            self._writer.submit(Job(work, future))
            return await future

    def run_lock(self, path: Path) -> FileLock:
        """See `Database`."""
        return FileLock(path)

    def counts(self) -> WriteCounts:
        """What this process has written since it opened the database."""
        return self._writer.counts()

    def close(self) -> None:
        """Finish the writes that wait, then close."""
        self._writer.stop()
        if self._slow is not None:
            pool, connection = self._slow
            pool.shutdown()
            connection.raw.close()
        self._reader.raw.close()


def _snapshot(connection: SqliteConnection, work: Callable[[Connection], T], now: int) -> T:
    try:
        connection.begin(write=False, now=now)
        return work(connection)
    except Exception as error:
        raise translated(error) from error
    finally:
        connection.rollback()
