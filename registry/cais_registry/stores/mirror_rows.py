# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Sequence

from cais_registry.stores.connection import Connection


def unmirrored(connection: Connection, limit: int) -> list[tuple[str, bytes]]:
    """Keys and bytes of manifests that have no copy beside the blobs yet."""
    rows = connection.execute(
        "SELECT storage_key, content FROM manifest WHERE mirrored_at IS NULL LIMIT :limit",
        {"limit": limit},
    )
    return [(row["storage_key"], bytes(row["content"])) for row in rows]


def mark_mirrored(connection: Connection, keys: Sequence[str]) -> list[str]:
    """Write down that copies are there; returns those whose manifest was purged meanwhile."""
    return [key for key in keys if not _mark(connection, key)]


def _mark(connection: Connection, key: str) -> bool:
    rows = connection.execute(
        "UPDATE manifest SET mirrored_at = :now WHERE storage_key = :key RETURNING 1 AS done",
        {"now": connection.now, "key": key},
    )
    return bool(rows)
