# SPDX-License-Identifier: Apache-2.0
"""When manifests were pulled, and since when that is known without a gap."""

from __future__ import annotations

from collections.abc import Mapping

from cais_registry.stores.connection import Connection, one


def begin_counting(connection: Connection, counter: str, *, is_start: bool) -> None:
    """A server counts from now on.

    Args:
        connection: The transaction.
        counter: Name of this server's life.
        is_start: Whether it has served no pull yet; if it has, those before now are not known.
    """
    if not is_start:
        forget_pulls(connection)
    connection.execute(
        "INSERT INTO pulls_known (id, since) VALUES (1, :now) ON CONFLICT (id) DO NOTHING",
        {"now": connection.now},
    )
    _seen(connection, counter)


def write_pulls(
    connection: Connection,
    counter: str,
    pulls: Mapping[tuple[str, str], int],
    *,
    is_whole: bool,
    is_all: bool,
) -> None:
    """Write down pulls that a server has counted.

    Args:
        connection: The transaction.
        counter: Name of this server's life.
        pulls: Repository and digest to the time of the last pull, microseconds since 1970.
        is_whole: False when there were more pulls than it could remember.
        is_all: False when it has counted more that is not written yet: others wait for that.
    """
    for (repository, digest), moment in pulls.items():
        connection.execute(
            "UPDATE manifest SET last_pulled_at = :moment WHERE digest = :digest"
            " AND repo_id = (SELECT id FROM repository WHERE name = :repository)"
            " AND (last_pulled_at IS NULL OR last_pulled_at < :moment)",
            {"moment": moment, "digest": digest, "repository": repository},
        )
    if not is_whole:
        lose_pulls(connection)
    if is_all:
        _seen(connection, counter)


def _seen(connection: Connection, counter: str) -> None:
    connection.execute(
        "INSERT INTO pull_counter (id, seen_at) VALUES (:id, :now)"
        " ON CONFLICT (id) DO UPDATE SET seen_at = excluded.seen_at",
        {"id": counter, "now": connection.now},
    )


def end_counting(connection: Connection, counter: str) -> None:
    """A server has written down all it counted, and counts no more."""
    connection.execute("DELETE FROM pull_counter WHERE id = :id", {"id": counter})


def forget_pulls(connection: Connection) -> None:
    """Pulls are not counted any more: whoever begins again knows nothing of the time before."""
    connection.execute("DELETE FROM pulls_known")


def lose_pulls(connection: Connection) -> None:
    """Pulls may have been missed: everything counts as pulled now."""
    connection.execute("UPDATE pulls_known SET since = :now", {"now": connection.now})


def bury_others(connection: Connection, holder: str) -> None:
    """Servers that counted under another hold of the database are dead, and what they counted."""
    rows = connection.execute(
        "DELETE FROM pull_counter WHERE substr(id, 1, :length) <> :prefix RETURNING id",
        {"prefix": f"{holder}-", "length": len(holder) + 1},
    )
    if rows:
        lose_pulls(connection)


def bury_counters(connection: Connection, counter: str, before: int) -> None:
    """Servers other than `counter` that were not heard of since a moment died with their counts."""
    rows = connection.execute(
        "DELETE FROM pull_counter WHERE id <> :id AND seen_at < :before RETURNING id",
        {"id": counter, "before": before},
    )
    if rows:
        lose_pulls(connection)


def counters_silent_since(connection: Connection, counter: str, since: int) -> bool:
    """Whether some server other than `counter` has written nothing down since a moment."""
    rows = connection.execute(
        "SELECT 1 FROM pull_counter WHERE id <> :id AND seen_at < :since LIMIT 1",
        {"id": counter, "since": since},
    )
    return bool(rows)


def pulls_known_since(connection: Connection) -> int | None:
    """The moment since which all pulls are known; None if they are not counted."""
    row = one(connection, "SELECT since FROM pulls_known WHERE id = 1", {})
    return None if row is None else int(row["since"])


def is_counting(connection: Connection) -> bool:
    """Whether somebody counts pulls, or did until it ended."""
    return pulls_known_since(connection) is not None
