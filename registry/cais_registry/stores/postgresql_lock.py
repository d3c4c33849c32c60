# SPDX-License-Identifier: Apache-2.0
"""The lock of garbage collections between all servers of one PostgreSQL."""

from __future__ import annotations

import asyncio
from typing import Final

from cais_registry.stores.connection import Connection
from cais_registry.stores.database import Database
from cais_registry.stores.postgresql import PostgresConnection, translated

_KEY: Final = 0x43414953  # "CAIS"; the second half of the key tells schemas of a database apart
_TAKE: Final = f"SELECT pg_try_advisory_lock({_KEY}, hashtext(current_schema())) AS is_ours"
_HELD: Final = (
    "SELECT 1 AS one FROM pg_locks WHERE locktype = 'advisory' AND granted"  # noqa: S608 - a constant
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    f" AND classid::bigint = {_KEY} AND objsubid = 2"
    " AND objid::bigint = (hashtext(current_schema())::bigint & 4294967295)"
)


class AdvisoryLock:
    """Held by a connection of its own, so that it ends with the server that opened it.

    A server whose connection is lost goes on with its run, and another one may begin: that loses
    nothing (docs/adr/0011), only the run before is shown as failed until it has ended.
    """

    def __init__(self, dsn: str, database: Database) -> None:
        """Take the connection string, and the database that is asked who holds it."""
        self._dsn = dsn
        self._database = database

    async def take(self) -> PostgresConnection | None:
        """See `RunLock`."""
        return await asyncio.to_thread(self._taken)

    async def is_held(self) -> bool:
        """See `RunLock`."""
        return bool(await self._database.read_one(_holders))

    def _taken(self) -> PostgresConnection | None:
        try:
            connection = PostgresConnection(self._dsn)
        except Exception as error:
            raise translated(error) from error
        try:
            if connection.execute(_TAKE)[0]["is_ours"]:
                return connection
        except Exception as error:
            connection.close()
            raise translated(error) from error
        connection.close()
        return None


def _holders(connection: Connection) -> list[object]:
    return list(connection.execute(_HELD))
