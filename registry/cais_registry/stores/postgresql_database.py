# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

import psycopg

from cais_registry.model.errors import Unavailable
from cais_registry.stores.connection import Connection
from cais_registry.stores.database import MAX_WAITING, Database, microseconds
from cais_registry.stores.layout import UnusableData
from cais_registry.stores.postgresql import PostgresConnection, translated
from cais_registry.stores.postgresql_lock import AdvisoryLock
from cais_registry.stores.postgresql_migrate import migrate
from cais_registry.stores.postgresql_presence import Enter, alone, together, unseen
from cais_registry.stores.writer import Job, WriteCounts, Writer

T = TypeVar("T")
_READERS: Final = 4


class _Readers:
    """Threads that read, and the connections that they take turns with."""

    def __init__(self, dsn: str, threads: int, enter: Enter) -> None:
        self._dsn = dsn
        self._enter = enter
        self._pool = ThreadPoolExecutor(threads, "cais-reader")
        self._idle: list[PostgresConnection] = []

    async def run(self, work: Callable[[Connection], T], now: int) -> T:
        return await self._on_a_thread(partial(_snapshot, work=work, now=now))

    async def run_one(self, work: Callable[[Connection], T], now: int) -> T:
        return await self._on_a_thread(lambda connection: connection.read_one(work, now))

    async def _on_a_thread(self, read: Callable[[PostgresConnection], T]) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, self._with_connection, read)

    def _with_connection(self, read: Callable[[PostgresConnection], T]) -> T:
        try:
            connection = self._taken()
            try:
                return read(connection)
            finally:
                self._idle.append(connection)
        except Exception as error:
            raise translated(error) from error

    def _taken(self) -> PostgresConnection:
        with suppress(IndexError):  # asking first would not say what another thread does then
            return self._idle.pop()
        return PostgresConnection(self._dsn, self._enter)

    def close(self) -> None:
        self._pool.shutdown()
        for connection in self._idle:
            connection.close()


class PostgresDatabase(Database):
    """Transactions over metadata in PostgreSQL, which several servers may share.

    Writing transactions are equivalent to serial ones: each locks the row of `clock` first, so one
    writes at a time, in whichever server. Everything that a transaction of another server wrote is
    seen by the next one. While the server is away reads and writes raise `Unavailable`.
    """

    def __init__(
        self, dsn: str, clock: Callable[[], int] = microseconds, *, is_alone: bool = False
    ) -> None:
        """Connect, and make or migrate the tables first if need be.

        Args:
            dsn: Connection string or URL of libpq.
            clock: Gives microseconds since 1970.
            is_alone: Keep all others out, as a rebuild does; else keep out rebuilds.

        Raises:
            UnusableData: If there is no answer, or the database cannot be used, or not now.
        """
        self._dsn = dsn
        self._clock = clock
        self._writer = Writer(_migrated(dsn, alone if is_alone else together), clock)
        self._waiting = asyncio.Semaphore(MAX_WAITING)
        reads = unseen if is_alone else together
        self._short = _Readers(dsn, _READERS, reads)
        self._long = _Readers(dsn, 1, reads)

    def now(self) -> int:
        """The time, in microseconds since 1970; not before any write that this server did."""
        return max(self._clock(), self._writer.last)

    async def version(self) -> Hashable | None:
        """None: asking would cost what reading costs, so nothing is remembered."""
        return None

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run a short function over one snapshot.

        Raises:
            Unavailable: If the server is away.
        """
        return await self._short.run(work, self.now())

    async def read_one(self, work: Callable[[Connection], T]) -> T:
        """Run a function of one statement, which is one call of the server.

        Raises:
            RuntimeError: If the function runs a second statement: it may see another snapshot.
            Unavailable: If the server is away.
        """
        return await self._short.run_one(work, self.now())

    async def read_slowly(self, work: Callable[[Connection], T]) -> T:
        """Run a function that may take long over one snapshot, on a connection of its own."""
        return await self._long.run(work, self.now())

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Run a function in a transaction; return its result once that survives a power loss.

        Raises:
            StorageFull: If the server's disk is full; nothing was changed.
            Unavailable: If the server is away; whether anything was changed is unknown.
            Exception: Whatever the function raises; nothing was changed.
        """
        async with self._waiting:
            future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
            self._writer.submit(Job(work, future))
            return await future

    def run_lock(self, path: Path) -> AdvisoryLock:
        """See `Database`."""
        del path
        return AdvisoryLock(self._dsn, self)

    def counts(self) -> WriteCounts:
        """What this process has written since it opened the database."""
        return self._writer.counts()

    def close(self) -> None:
        """Finish the writes that wait, then close."""
        self._writer.stop()
        self._long.close()
        self._short.close()


def _snapshot(connection: PostgresConnection, work: Callable[[Connection], T], now: int) -> T:
    try:
        connection.begin(write=False, now=now)
        return work(connection)
    finally:
        connection.rollback()


def _migrated(dsn: str, enter: Enter) -> PostgresConnection:
    try:
        connection = PostgresConnection(dsn, enter)
    except psycopg.Error as error:
        raise UnusableData(f"the database cannot be reached: {_brief(error)}") from None
    except Unavailable as error:
        raise UnusableData(error.message) from None
    try:
        migrate(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _brief(error: Exception) -> str:
    """The message on one line; libpq puts no password into it."""
    return " ".join(str(error).split())[:300]
