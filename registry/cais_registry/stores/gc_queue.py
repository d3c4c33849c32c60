# SPDX-License-Identifier: Apache-2.0
"""The queue of garbage collection: what may have become garbage, and from when to look at it.

An entry is only ever a hint to look: whether something is garbage is decided when it is looked at,
in the same transaction that removes it. So looking too early is harmless, and an entry that is
already there must never be lost or put off by a new one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from cais_registry.model.policy import Policy
from cais_registry.stores.connection import Connection


class Kind(StrEnum):
    """What is looked at."""

    MANIFEST = "manifest"
    MEMBER = "member"
    BYTES = "bytes"


class Due(StrEnum):
    """When it is looked at, counted from the entry's `since`."""

    NOW = "now"
    LEASE = "lease"
    WINDOW = "window"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One thing to look at.

    Attributes:
        kind: What it is.
        repo_id: Its repository, 0 for bytes, which belong to all.
        digest: Its digest.
        due: When to look.
        since: Microseconds since 1970.
        explicit: True when it follows a deletion that somebody asked for.
    """

    kind: Kind
    repo_id: int
    digest: str
    due: Due = Due.NOW
    since: int = 0
    explicit: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """The moment for which decisions are made, and the times of the policy.

    Attributes:
        now: Microseconds since 1970.
        lease: `push_lease` in microseconds.
        window: `undelete_window` in microseconds.
        policy: What else it says.
    """

    now: int
    lease: int
    window: int
    policy: Policy

    @classmethod
    def of(cls, now: int, policy: Policy) -> Times:
        """The times of a policy at a moment."""
        return cls(
            now=now,
            lease=round(policy.push_lease.total_seconds() * 1_000_000),
            window=round(policy.undelete_window.total_seconds() * 1_000_000),
            policy=policy,
        )

    @classmethod
    def end(cls, policy: Policy) -> Times:
        """A moment at which every lease and window has passed."""
        return cls(now=2**62, lease=0, window=0, policy=policy)

    def lease_over(self, since: int) -> bool:
        """Whether a lease that began then is over."""
        return since + self.lease <= self.now

    def window_over(self, since: int) -> bool:
        """Whether the window of something deleted then is over."""
        return since + self.window <= self.now


_DUE = (
    "(due = 'now' OR (due = 'lease' AND since <= :lease) OR (due = 'window' AND since <= :window))"
)


def enqueue(connection: Connection, entry: Entry) -> None:
    """Add an entry; one that is there becomes due at the earlier of both and stays explicit."""
    connection.execute(
        "INSERT INTO gc_queue (kind, repo_id, digest, due, since, explicit)"
        " VALUES (:kind, :repo, :digest, :due, :since, :explicit)"
        " ON CONFLICT (kind, repo_id, digest) DO UPDATE SET"
        " due = CASE WHEN gc_queue.due = excluded.due THEN excluded.due ELSE 'now' END,"
        " since = CASE WHEN gc_queue.since < excluded.since THEN gc_queue.since"
        " ELSE excluded.since END,"
        " explicit = CASE WHEN gc_queue.explicit = 1 THEN 1 ELSE excluded.explicit END",
        {
            "kind": entry.kind,
            "repo": entry.repo_id,
            "digest": entry.digest,
            "due": entry.due,
            "since": entry.since,
            "explicit": int(entry.explicit),
        },
    )


def remove(connection: Connection, entry: Entry) -> None:
    """Take an entry out: it has been dealt with in this transaction."""
    connection.execute(
        "DELETE FROM gc_queue WHERE kind = :kind AND repo_id = :repo AND digest = :digest",
        {"kind": entry.kind, "repo": entry.repo_id, "digest": entry.digest},
    )


def due_entries(connection: Connection, kind: Kind, times: Times) -> Iterator[Entry]:
    """Entries of one kind that are due, one by one."""
    rows = connection.rows(
        f"SELECT repo_id, digest, due, since, explicit FROM gc_queue WHERE kind = :kind AND {_DUE}",  # noqa: S608 - a constant, no input
        {"kind": kind, "lease": times.now - times.lease, "window": times.now - times.window},
    )
    for row in rows:
        yield Entry(
            kind=kind,
            repo_id=row["repo_id"],
            digest=row["digest"],
            due=Due(row["due"]),
            since=row["since"],
            explicit=bool(row["explicit"]),
        )


def oldest_deletions(connection: Connection, limit: int) -> int | None:
    """When the last of the so many oldest deletions was that wait for their window.

    Returns:
        Microseconds since 1970; None if none waits.
    """
    rows = connection.execute(
        "SELECT MAX(since) AS since FROM (SELECT since FROM gc_queue"
        " WHERE due = 'window' ORDER BY since LIMIT :limit) AS oldest",
        {"limit": limit},
    )
    found: int | None = rows[0]["since"]
    return found
