# SPDX-License-Identifier: Apache-2.0
"""Tombstones: keys whose bytes may be deleted, because nothing names them and nothing ever will."""

from __future__ import annotations

from cais_registry.stores.connection import Connection, values

Grave = tuple[str, str | None, int]
"""Storage key, digest and size of bytes, as in `bury`."""


def bury(
    connection: Connection, key: str, *, reason: str, digest: str | None = None, size: int = 0
) -> None:
    """Write down that the bytes under a key may be deleted.

    Args:
        connection: The transaction, which also removes the last row that names the key.
        key: The storage key.
        reason: Why, for people.
        digest: What the bytes are or were about to be.
        size: Bytes that deleting gives back; 0 if unknown, or if whoever buries deletes at once.
    """
    bury_all(connection, [(key, digest, size)], reason=reason)


def bury_all(connection: Connection, graves: list[Grave], *, reason: str) -> None:
    """Bury many."""
    if not graves:
        return
    listed, params = values([(*grave, connection.now, reason) for grave in graves])
    connection.execute(
        "INSERT INTO tombstone (storage_key, digest, size, created_at, reason)"  # noqa: S608 - places of parameters
        f" VALUES {listed} ON CONFLICT (storage_key) DO NOTHING",
        params,
    )


def oldest(connection: Connection, limit: int, offset: int = 0) -> list[tuple[str, int]]:
    """Keys that wait for their bytes to be deleted, oldest first, with their sizes."""
    rows = connection.execute(
        "SELECT storage_key, size FROM tombstone ORDER BY created_at, storage_key"
        " LIMIT :limit OFFSET :offset",
        {"limit": limit, "offset": offset},
    )
    return [(row["storage_key"], row["size"]) for row in rows]


def waiting_bytes(connection: Connection) -> int:
    """Bytes that wait to be deleted."""
    rows = connection.execute("SELECT COALESCE(SUM(size), 0) AS total FROM tombstone")
    return int(rows[0]["total"])


def forget(connection: Connection, keys: list[str]) -> None:
    """R2: the bytes under these keys are gone."""
    if keys:
        listed, params = values([(key,) for key in keys])
        connection.execute(
            f"DELETE FROM tombstone WHERE storage_key IN (VALUES {listed})",  # noqa: S608 - places of parameters
            params,
        )
