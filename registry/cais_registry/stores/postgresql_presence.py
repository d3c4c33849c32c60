# SPDX-License-Identifier: Apache-2.0
"""Who uses the tables in PostgreSQL: servers together, or a rebuild alone.

Each connection of a server holds a lock with all others, from its beginning to its end. A rebuild
writes by one connection, which holds the same lock alone. So neither goes on beside the other, also
after connections were lost: a new one has to get its lock first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import psycopg

from cais_registry.model.errors import Unavailable

Enter = Callable[[psycopg.Connection[Any]], None]
"""What a new connection does first; raises `Unavailable` if it may not use the tables."""

_KEY: Final = 0x43414955
"""The second half of the key tells schemas of a database apart."""

_SCHEMA: Final = "hashtext(COALESCE(current_schema(), ''))"
_OTHERS: Final = (
    "SELECT count(*) AS connections,"  # noqa: S608 - constants
    " string_agg(DISTINCT COALESCE(host(a.client_addr), 'its own machine'), ', ') AS places"
    " FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid"
    " WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 2"
    " AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    f" AND l.classid::bigint = {_KEY} AND l.objid::bigint = ({_SCHEMA}::bigint & 4294967295)"
)


def together(raw: psycopg.Connection[Any]) -> None:
    """Use the tables as one of many.

    Raises:
        Unavailable: If a rebuild has them.
    """
    if not _taken(raw, "pg_try_advisory_lock_shared"):
        raise Unavailable("the database is being rebuilt: wait until `fsck --rebuild` has ended")


def alone(raw: psycopg.Connection[Any]) -> None:
    """Have the tables alone.

    Raises:
        Unavailable: If servers, or another rebuild, use them.
    """
    if not _taken(raw, "pg_try_advisory_lock"):
        row = raw.execute(_OTHERS.encode()).fetchone()
        who = "" if row is None else f" ({row['connections']} connections, from {row['places']})"
        raise Unavailable(f"the database is in use by servers{who}: stop all of them first")


def unseen(raw: psycopg.Connection[Any]) -> None:
    """Read beside a connection of this process that has the tables alone."""
    del raw


def _taken(raw: psycopg.Connection[Any], function: str) -> bool:
    row = raw.execute(f"SELECT {function}({_KEY}, {_SCHEMA}) AS is_ours".encode()).fetchone()
    return bool(row and row["is_ours"])
