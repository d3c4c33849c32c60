# SPDX-License-Identifier: Apache-2.0
"""The queue of garbage collection: what may have become garbage, and from when to look at it.

An entry is only ever a hint to look: whether something is garbage is decided when it is looked at,
in the same transaction that removes it. So looking too early is harmless, and an entry that is
already there must never be lost or put off by a new one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from cais_registry.model.policy import Policy
from cais_registry.stores.connection import Connection, Params, Row, Value, values


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


_AT_ONCE: Final = 100
"""Rows of one statement; an index may list tens of thousands of manifests."""

_ALL: Final = 1 << 62
"""A limit that is none."""

_DUE: Final = " UNION ALL ".join(
    f"SELECT * FROM (SELECT repo_id, digest, due, since, explicit FROM gc_queue"  # noqa: S608 - constants, no input
    f" WHERE kind = :kind AND due = '{due}'{bound} ORDER BY since LIMIT :limit) AS due_{due}"
    for due, bound in (
        (Due.NOW, ""),
        (Due.LEASE, " AND since <= :lease"),
        (Due.WINDOW, " AND since <= :window"),
    )
)
"""Apart, as one index has each of them: those that wait, maybe many, are not looked at."""


def enqueue(connection: Connection, *entries: Entry) -> None:
    """Add entries; one that is there becomes due at the earlier of both and stays explicit.

    Args:
        connection: The transaction.
        entries: No two for one thing.
    """
    for begin in range(0, len(entries), _AT_ONCE):
        _enqueue(connection, entries[begin : begin + _AT_ONCE])


def _enqueue(connection: Connection, entries: Sequence[Entry]) -> None:
    listed, params = values([_columns(entry) for entry in entries])
    connection.execute(
        "INSERT INTO gc_queue (kind, repo_id, digest, due, since, explicit)"  # noqa: S608 - places of parameters
        f" VALUES {listed}"
        " ON CONFLICT (kind, repo_id, digest) DO UPDATE SET"
        " due = CASE WHEN gc_queue.due = excluded.due THEN excluded.due ELSE 'now' END,"
        " since = CASE WHEN gc_queue.since < excluded.since THEN gc_queue.since"
        " ELSE excluded.since END,"
        " explicit = CASE WHEN gc_queue.explicit = 1 THEN 1 ELSE excluded.explicit END",
        params,
    )


def _columns(entry: Entry) -> tuple[Value, ...]:
    explicit = int(entry.explicit)
    return (entry.kind, entry.repo_id, entry.digest, entry.due, entry.since, explicit)


def remove(connection: Connection, *entries: Entry) -> None:
    """Take entries out: they have been dealt with in this transaction."""
    for (kind, repo_id), digests in by_place(entries).items():
        listed, params = values([(digest,) for digest in digests])
        connection.execute(
            "DELETE FROM gc_queue WHERE kind = :kind AND repo_id = :repo"  # noqa: S608 - places of parameters
            f" AND digest IN (VALUES {listed})",
            {"kind": kind, "repo": repo_id, **params},
        )


def by_place(entries: Iterable[Entry]) -> dict[tuple[Kind, int], list[str]]:
    """Digests by kind and repository: SQLite finds pairs of values by no index."""
    found: dict[tuple[Kind, int], list[str]] = defaultdict(list)
    for entry in entries:
        found[entry.kind, entry.repo_id].append(entry.digest)
    return found


def due_entries(
    connection: Connection, kind: Kind, times: Times, limit: int = _ALL
) -> Iterator[Entry]:
    """Entries of one kind that are due, one by one; at most so many."""
    rows = connection.rows(f"{_DUE} LIMIT :limit", _bounds(kind, times, limit))
    for row in rows:
        yield _entry(kind, row)


def _bounds(kind: Kind, times: Times, limit: int) -> Params:
    lease, window = times.now - times.lease, times.now - times.window
    return {"kind": kind, "lease": lease, "window": window, "limit": limit}


def _entry(kind: Kind, row: Row) -> Entry:
    return Entry(
        kind=kind,
        repo_id=row["repo_id"],
        digest=row["digest"],
        due=Due(row["due"]),
        since=row["since"],
        explicit=bool(row["explicit"]),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is read about the things of one kind, as SQL in which `q` is the entry.

    Attributes:
        kind: Of which kind.
        columns: Columns of the answer.
        source: The join that they come from.
    """

    kind: Kind
    columns: str
    source: str


def due_with(
    connection: Connection, facts: Facts, times: Times, limit: int
) -> list[tuple[Entry, Row]]:
    """Entries that are due, each with what is known about the thing; at most so many."""
    rows = connection.execute(
        f"SELECT q.repo_id, q.digest, q.due, q.since, q.explicit, {facts.columns}"  # noqa: S608 - constants, no input
        f" FROM ({_DUE} LIMIT :limit) AS q {facts.source}",
        _bounds(facts.kind, times, limit),
    )
    return [(_entry(facts.kind, row), row) for row in rows]


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
