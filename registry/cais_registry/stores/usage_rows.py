# SPDX-License-Identifier: Apache-2.0
"""How much is stored: bytes of blobs, each once, and of every repository's manifests.

What was deleted counts until it is purged: its bytes are on the disk. Triggers keep the number in
the transaction of every change, so it is exact at any moment.
"""

from __future__ import annotations

from cais_registry.stores.connection import Connection


def stored_bytes(connection: Connection) -> int:
    """Bytes that are stored."""
    return int(connection.execute("SELECT bytes FROM usage WHERE id = 1")[0]["bytes"])


def largest_blob(connection: Connection) -> int:
    """Bytes of the largest blob, 0 when there is none."""
    rows = connection.execute("SELECT COALESCE(MAX(size), 0) AS size FROM blob")
    return int(rows[0]["size"])


def counted_bytes(connection: Connection) -> int:
    """The same as `stored_bytes`, counted anew: one look at every row."""
    rows = connection.execute(
        "SELECT CAST((SELECT COALESCE(SUM(size), 0) FROM blob)"
        " + (SELECT COALESCE(SUM(size), 0) FROM manifest) AS BIGINT) AS bytes"
    )
    return int(rows[0]["bytes"])


def count_anew(connection: Connection) -> None:
    """Put the number right that the triggers keep."""
    connection.execute("UPDATE usage SET bytes = :bytes", {"bytes": counted_bytes(connection)})
