# SPDX-License-Identifier: Apache-2.0
"""PostgreSQL behind the `Connection` of this room; imported only where it is configured."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache, partial
from itertools import count
from typing import Any, Final, TypeVar

import psycopg
from psycopg.pq import TransactionStatus
from psycopg.rows import dict_row

from cais_registry.model.errors import StorageFull, Unavailable
from cais_registry.stores.connection import Connection, Params, Row
from cais_registry.stores.layout import UnusableData
from cais_registry.stores.once import Once
from cais_registry.stores.postgresql_presence import Enter, together

T = TypeVar("T")
_FETCH: Final = 500
"""Rows of a long answer that are in memory at once."""

_DEFAULTS: Final = {
    "application_name": "cais-registry",
    "connect_timeout": "5",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "20000",
    "target_session_attrs": "read-write",  # of several hosts, the one that takes writes
}
"""Libpq parameters that a connection string may override; seconds, `tcp_user_timeout` in ms."""

_NAMED: Final = re.compile(r"(?<![:\w]):([a-z_][a-z0-9_]*)")


@cache
def _native(sql: str) -> bytes:
    """`:name` as the driver writes it; few statements, as batches are bounded, so the cache is.

    Cursors take the same names again and again for that.
    """
    return _NAMED.sub(r"%(\1)s", sql.replace("%", "%%")).encode()


class PostgresConnection:
    """One connection; used by one thread at a time. It connects anew when it was lost."""

    def __init__(self, dsn: str, enter: Enter = together) -> None:
        """Connect.

        Args:
            dsn: Connection string or URL of libpq.
            enter: Says to others that the tables are used, on each new connection.

        Raises:
            psycopg.Error: If the server does not answer.
            Unavailable: If others have the tables in a way that leaves no room for this one.
            UnusableData: If the server is set up wrongly.
        """
        self.now = 0
        self._dsn = dsn
        self._enter = enter
        self._names = count()
        self.raw = _connect(dsn, enter)

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open, and the server is there."""
        status = self.raw.info.transaction_status
        return status in (TransactionStatus.INTRANS, TransactionStatus.INERROR)

    @property
    def is_lost(self) -> bool:
        """Whether it can be used no more."""
        return self.raw.closed

    def execute(self, sql: str, params: Params | None = None) -> list[Row]:
        """See `Connection.execute`."""
        cursor: Any = self.raw.execute(_native(sql), params or {})
        return cursor.fetchall() if cursor.description is not None else []

    def rows(self, sql: str, params: Params | None = None) -> Iterator[Row]:
        """See `Connection.rows`; the server keeps the answer, which ends with the transaction."""
        name = f"answer_{next(self._names)}"
        self._once(f"DECLARE {name} NO SCROLL CURSOR FOR {sql}", params)
        while found := self._once(f"FETCH FORWARD {_FETCH} FROM {name}").fetchall():
            yield from found

    def _once(self, sql: str, params: Params | None = None) -> Any:  # noqa: ANN401 - a cursor
        """Run what is not to be prepared: a name that comes again stands for another query."""
        return self.raw.execute(_native(sql), params or {}, prepare=False)

    def begin(self, *, write: bool, now: int) -> int:
        """Begin a transaction; a writing one waits here for the writers of all servers."""
        self.now = now
        return self._connected(partial(self._begin, write=write))

    def read_one(self, work: Callable[[Connection], T], now: int) -> T:
        """Run what is one statement, without a transaction around it.

        Raises:
            RuntimeError: If it is more than one.
        """
        return self._connected(lambda: work(Once(self, now)))

    def _connected(self, work: Callable[[], T]) -> T:
        """Do what nothing was done before; again where the connection turns out to be lost."""
        if not self.is_lost:
            try:
                return work()
            except psycopg.OperationalError:
                if not self.is_lost:
                    raise
        self.raw = _connect(self._dsn, self._enter)  # the server was started anew meanwhile
        return work()

    def _begin(self, *, write: bool) -> int:
        self._names = count()
        if not write:
            self.raw.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
            return 0
        self.raw.execute("BEGIN ISOLATION LEVEL READ COMMITTED")
        rows = self.execute("SELECT newest FROM clock WHERE id = 1 FOR UPDATE")
        return int(rows[0]["newest"])

    def commit(self) -> None:
        """End a writing transaction; when it returns, the changes survive a power loss."""
        self.execute("UPDATE clock SET newest = :now WHERE id = 1", {"now": self.now})
        self.raw.execute("COMMIT")

    def rollback(self) -> None:
        """Undo the transaction, if one is still open."""
        with suppress(psycopg.Error):
            if self.in_transaction:
                self.raw.execute("ROLLBACK")

    def translated(self, error: Exception) -> Exception:
        """See `translated`; a server that takes no writes is left, another may be found."""
        if isinstance(error, psycopg.errors.ReadOnlySqlTransaction):
            self.close()
        return translated(error)

    def close(self) -> None:
        """Close it."""
        self.raw.close()


def _connect(dsn: str, enter: Enter) -> psycopg.Connection[dict[str, Any]]:
    given = psycopg.conninfo.conninfo_to_dict(dsn)
    raw = psycopg.Connection[dict[str, Any]].connect(
        autocommit=True,
        row_factory=dict_row,
        **{**_DEFAULTS, **given},  # type: ignore[arg-type] # libpq parameters are text
    )
    try:
        check_durable(raw)
        enter(raw)
    except BaseException:
        raw.close()
        raise
    return raw


def check_durable(raw: psycopg.Connection[Any]) -> None:
    """Make sure that a commit survives a power loss, and that every name can be stored.

    Raises:
        UnusableData: If the server is set up otherwise.
    """
    for setting, wrong, what in (
        ("synchronous_commit", ("off",), "commits would be lost in a power loss"),
        ("fsync", ("off",), "commits would be lost in a power loss"),
        ("server_encoding", ("SQL_ASCII",), "names could not be stored; it has to be UTF8"),
    ):
        row = raw.execute(f"SHOW {setting}".encode()).fetchone()
        found = "" if row is None else str(row[setting])
        if found in wrong:
            raise UnusableData(f"the database has {setting} = {found}: {what}")


def translated(error: Exception) -> Exception:
    """Turn what the driver says into the registry's own errors; anything else stays as it is."""
    if isinstance(error, psycopg.errors.DiskFull):
        return StorageFull("the database's disk is full: delete images and collect garbage")
    away = (
        psycopg.OperationalError,
        psycopg.InterfaceError,
        psycopg.errors.ReadOnlySqlTransaction,
    )
    if isinstance(error, away):
        return Unavailable("the database does not answer now; try again in a moment")
    return error
