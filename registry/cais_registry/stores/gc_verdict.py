# SPDX-License-Identifier: Apache-2.0
"""Decides what is garbage; reads only. The rules of docs/adr/0006."""

from __future__ import annotations

from dataclasses import dataclass, field

from cais_registry.stores.connection import Connection, Row, one
from cais_registry.stores.gc_queue import Due, Entry, Kind, Times


@dataclass(frozen=True, slots=True, kw_only=True)
class Gone:
    """What a dry run has decided to be gone; a real run deletes it, so for that this is empty.

    Attributes:
        rows: Manifests, memberships and blobs.
        tags: Tags, by repository and name.
        released: Manifests that lost a tag because what it was attached to is gone, or because no
            rule of retention keeps it.
        deleted: Manifests that no rule of retention keeps.
    """

    rows: set[tuple[Kind, int, str]] = field(default_factory=set)
    tags: set[tuple[int, str]] = field(default_factory=set)
    released: set[tuple[int, str]] = field(default_factory=set)
    deleted: set[tuple[int, str]] = field(default_factory=set)

    def has(self, kind: Kind, repo_id: int, digest: str) -> bool:
        """Whether something is gone."""
        return (kind, repo_id, digest) in self.rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What was decided about one entry.

    Attributes:
        purge: Whether it is garbage.
        size: Bytes that purging it will give back.
        later: The entry that looks again, if it only is not garbage yet.
    """

    purge: bool = False
    size: int = 0
    later: Entry | None = None


KEEP = Verdict()


def decide(connection: Connection, entry: Entry, times: Times, gone: Gone) -> Verdict:
    """Look at one entry of the queue.

    Args:
        connection: The transaction; only read.
        entry: What to look at.
        times: The moment, and the policy's times.
        gone: What to regard as not there.
    """
    if gone.has(entry.kind, entry.repo_id, entry.digest):
        return KEEP
    if entry.kind is Kind.MANIFEST:
        return _decide_manifest(connection, entry, times, gone)
    if entry.kind is Kind.MEMBER:
        return _decide_member(connection, entry, times, gone)
    return _decide_bytes(connection, entry, gone)


def _again(entry: Entry, due: Due, since: int) -> Verdict:
    later = Entry(
        kind=entry.kind,
        repo_id=entry.repo_id,
        digest=entry.digest,
        due=due,
        since=since,
        explicit=entry.explicit,
    )
    return Verdict(later=later)


def _window(entry: Entry, times: Times, since: int, size: int = 0) -> Verdict:
    if times.window_over(since):
        return Verdict(purge=True, size=size)
    return _again(entry, Due.WINDOW, since)


def _lease(entry: Entry, times: Times, row: Row, size: int = 0) -> Verdict:
    """Garbage, unless a promise to a pusher still holds.

    A deletion that somebody asked for ends the promises that a later push of a manifest has used.
    """
    used = entry.explicit and row["touched_at"] <= row["bound_at"]
    if used or times.lease_over(row["touched_at"]):
        return Verdict(purge=True, size=size)
    return _again(entry, Due.LEASE, row["touched_at"])


def _decide_manifest(connection: Connection, entry: Entry, times: Times, gone: Gone) -> Verdict:
    row = one(
        connection,
        "SELECT size, subject_digest, touched_at, bound_at, tagged_at, released_at, deleted_at"
        " FROM manifest WHERE repo_id = :repo AND digest = :digest",
        {"repo": entry.repo_id, "digest": entry.digest},
    )
    if row is None:
        return KEEP
    deleted = 0 if (entry.repo_id, entry.digest) in gone.deleted else row["deleted_at"]
    if deleted is not None:
        return _window(entry, times, deleted, row["size"])
    held = (
        _has_tag(connection, entry, gone)
        or _has_parent(connection, entry, gone)
        or _has_subject(connection, entry, row["subject_digest"], gone)
    )
    if held:
        return KEEP
    released = 0 if (entry.repo_id, entry.digest) in gone.released else row["released_at"]
    if released is None and (row["tagged_at"] is not None or not entry.explicit):
        return KEEP  # its tag went to another manifest, or it never had one: retention decides
    if released is not None and not times.window_over(released):
        return _again(entry, Due.WINDOW, released)
    return _lease(entry, times, row, row["size"])


def _has_tag(connection: Connection, entry: Entry, gone: Gone) -> bool:
    rows = connection.rows(
        "SELECT name FROM tag WHERE repo_id = :repo AND manifest_digest = :digest",
        {"repo": entry.repo_id, "digest": entry.digest},
    )
    return any((entry.repo_id, row["name"]) not in gone.tags for row in rows)


def _has_parent(connection: Connection, entry: Entry, gone: Gone) -> bool:
    """Whether a manifest that is not purged yet lists a digest; deleted ones may come back."""
    rows = connection.rows(
        "SELECT parent_digest FROM manifest_child"
        " WHERE repo_id = :repo AND child_digest = :digest AND parent_digest <> :digest",
        {"repo": entry.repo_id, "digest": entry.digest},
    )
    return any(not gone.has(Kind.MANIFEST, entry.repo_id, row["parent_digest"]) for row in rows)


def _has_subject(connection: Connection, entry: Entry, subject: str | None, gone: Gone) -> bool:
    if subject is None or subject == entry.digest:
        return False
    rows = connection.execute(
        "SELECT 1 FROM manifest WHERE repo_id = :repo AND digest = :digest",
        {"repo": entry.repo_id, "digest": subject},
    )
    return bool(rows) and not gone.has(Kind.MANIFEST, entry.repo_id, subject)


def _decide_member(connection: Connection, entry: Entry, times: Times, gone: Gone) -> Verdict:
    row = one(
        connection,
        "SELECT touched_at, bound_at, deleted_at FROM repo_blob"
        " WHERE repo_id = :repo AND digest = :digest",
        {"repo": entry.repo_id, "digest": entry.digest},
    )
    if row is None or _is_used(connection, entry, gone):
        return KEEP
    return unused_member(entry, row, times)


def unused_member(entry: Entry, row: Row, times: Times) -> Verdict:
    """Decide about a blob that no manifest of its repository uses.

    Args:
        entry: What is looked at.
        row: `touched_at`, `bound_at` and `deleted_at` of it.
        times: The moment, and the policy's times.
    """
    if row["deleted_at"] is not None:
        return _window(entry, times, row["deleted_at"])
    return _lease(entry, times, row)


def _is_used(connection: Connection, entry: Entry, gone: Gone) -> bool:
    rows = connection.rows(
        "SELECT manifest_digest FROM manifest_blob WHERE repo_id = :repo AND blob_digest = :digest",
        {"repo": entry.repo_id, "digest": entry.digest},
    )
    users = (row["manifest_digest"] for row in rows)
    if any(not gone.has(Kind.MANIFEST, entry.repo_id, user) for user in users):
        return True
    return _has_parent(connection, entry, gone)


def _decide_bytes(connection: Connection, entry: Entry, gone: Gone) -> Verdict:
    row = one(connection, "SELECT size FROM blob WHERE digest = :digest", {"digest": entry.digest})
    if row is None:
        return KEEP
    members = connection.rows(
        "SELECT repo_id FROM repo_blob WHERE digest = :digest", {"digest": entry.digest}
    )
    if any(not gone.has(Kind.MEMBER, member["repo_id"], entry.digest) for member in members):
        return KEEP
    return Verdict(purge=True, size=row["size"])
