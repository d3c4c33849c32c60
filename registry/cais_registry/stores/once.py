# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Iterator

from cais_registry.stores.connection import Connection, Params, Row


class Once:
    """A connection that runs one statement, which is a snapshot by itself."""

    __slots__ = ("_connection", "now")

    def __init__(self, connection: Connection, now: int) -> None:
        self._connection: Connection | None = connection
        self.now = now

    def execute(self, sql: str, params: Params | None = None) -> list[Row]:
        """See `Connection.execute`.

        Raises:
            RuntimeError: If it is the second statement: it may see another snapshot.
        """
        connection, self._connection = self._connection, None
        if connection is None:
            raise RuntimeError("a second statement needs a snapshot: use `read`")
        return connection.execute(sql, params)

    def rows(self, sql: str, params: Params | None = None) -> Iterator[Row]:
        """See `Connection.rows`; all of the answer is in memory."""
        return iter(self.execute(sql, params))
