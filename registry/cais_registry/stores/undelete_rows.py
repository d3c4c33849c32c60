# SPDX-License-Identifier: Apache-2.0
"""Rows that were deleted softly, and their way back.

Deleting only marks rows (docs/adr/0006), so whatever has a row can come back without touching a
byte. Nothing under a tombstone ever does.
"""

from __future__ import annotations

from dataclasses import dataclass

from cais_registry.stores.connection import Connection, Row, one
from cais_registry.stores.gc_queue import Entry, Kind, remove
from cais_registry.stores.leases import AFTER_USE


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletedTag:
    """The last deletion of a tag; `is_kept` says whether its manifest has a row still."""

    digest: str
    is_kept: bool


def deleted_after(connection: Connection, repo_id: int, last: str, limit: int) -> list[Row]:
    """Tags and manifests that can come back, in the ASCII order of their names and digests.

    Returns:
        Rows of `reference`, `digest`, `deleted_at` (microseconds since 1970) and `reason`.
    """
    return connection.execute(
        "SELECT reference, digest, deleted_at, reason FROM ("
        " SELECT d.name AS reference, d.manifest_digest AS digest, d.deleted_at, d.reason"
        " FROM deleted_tag d WHERE d.repo_id = :repo AND d.name > :last"
        " AND d.id = (SELECT MAX(id) FROM deleted_tag WHERE repo_id = :repo AND name = d.name)"
        " AND NOT EXISTS (SELECT 1 FROM tag WHERE repo_id = :repo AND name = d.name)"
        " AND EXISTS"
        " (SELECT 1 FROM manifest WHERE repo_id = :repo AND digest = d.manifest_digest)"
        " UNION ALL SELECT digest, digest, deleted_at, 'manifest deleted' FROM manifest"
        " WHERE repo_id = :repo AND digest > :last AND deleted_at IS NOT NULL"
        ") AS gone ORDER BY reference LIMIT :limit",
        {"repo": repo_id, "last": last, "limit": limit},
    )


def last_deletion(connection: Connection, repo_id: int, name: str) -> DeletedTag | None:
    """What a tag pointed at when it was deleted last; None if that is not known (any more)."""
    row = one(
        connection,
        "SELECT manifest_digest FROM deleted_tag WHERE repo_id = :repo AND name = :name"
        " ORDER BY id DESC LIMIT 1",
        {"repo": repo_id, "name": name},
    )
    if row is None:
        return None
    digest = str(row["manifest_digest"])
    return DeletedTag(digest=digest, is_kept=_manifest(connection, repo_id, digest) is not None)


def forget_deletion(connection: Connection, repo_id: int, name: str) -> None:
    """Drop the history of a tag that is back."""
    connection.execute(
        "DELETE FROM deleted_tag WHERE repo_id = :repo AND name = :name",
        {"repo": repo_id, "name": name},
    )


def tag_target(connection: Connection, repo_id: int, name: str) -> str | None:
    """Digest that a tag points at now, None if there is no such tag."""
    row = one(
        connection,
        "SELECT manifest_digest FROM tag WHERE repo_id = :repo AND name = :name",
        {"repo": repo_id, "name": name},
    )
    return None if row is None else str(row["manifest_digest"])


def deleted_at(connection: Connection, repo_id: int, digest: str) -> int | None:
    """When a manifest was deleted (microseconds since 1970); 0 if it was not, None if unknown."""
    row = _manifest(connection, repo_id, digest)
    return None if row is None else int(row["deleted_at"] or 0)


def tags_deleted_with(connection: Connection, repo_id: int, digest: str, moment: int) -> list[str]:
    """Tags that went when a manifest was deleted; no two transactions share a moment."""
    rows = connection.execute(
        "SELECT name FROM deleted_tag WHERE repo_id = :repo AND manifest_digest = :digest"
        " AND deleted_at = :moment ORDER BY name",
        {"repo": repo_id, "digest": digest, "moment": moment},
    )
    return [row["name"] for row in rows]


def revive(connection: Connection, repo_id: int, digest: str) -> list[str]:
    """Bring a manifest back, its blobs, and what an index lists, at any depth.

    Returns:
        Digests of the manifests that came back; empty if it was not deleted.
    """
    revived: list[str] = []
    waiting = [digest]
    while waiting:
        found = waiting.pop()
        if _unmark(connection, repo_id, found):
            revived.append(found)
            _unmark_blobs(connection, repo_id, found)
            waiting += _children(connection, repo_id, found)
    return revived


def lost_children(connection: Connection, repo_id: int, parent: str) -> list[str]:
    """What a manifest lists and the repository does not have (it need not have had it)."""
    rows = connection.execute(
        "SELECT child_digest FROM manifest_child c"
        " WHERE repo_id = :repo AND parent_digest = :digest AND NOT EXISTS (SELECT 1 FROM manifest"
        " WHERE repo_id = :repo AND digest = c.child_digest AND deleted_at IS NULL)"
        " AND NOT EXISTS (SELECT 1 FROM repo_blob"
        " WHERE repo_id = :repo AND digest = c.child_digest AND deleted_at IS NULL)",
        {"repo": repo_id, "digest": parent},
    )
    return [row["child_digest"] for row in rows]


def content_of(connection: Connection, repo_id: int, digest: str) -> tuple[str, bytes]:
    """Media type and bytes of a manifest that has a row."""
    (row,) = connection.execute(
        "SELECT media_type, content FROM manifest WHERE repo_id = :repo AND digest = :digest",
        {"repo": repo_id, "digest": digest},
    )
    return row["media_type"], bytes(row["content"])


def _manifest(connection: Connection, repo_id: int, digest: str) -> Row | None:
    return one(
        connection,
        "SELECT deleted_at FROM manifest WHERE repo_id = :repo AND digest = :digest",
        {"repo": repo_id, "digest": digest},
    )


def _unmark(connection: Connection, repo_id: int, digest: str) -> bool:
    """The same as a push of it would do: the lease begins anew, the queue forgets it."""
    rows = connection.execute(
        "UPDATE manifest SET deleted_at = NULL, released_at = NULL, mirrored_at = NULL,"  # noqa: S608 - a constant
        " untagged_at = :now,"
        f" touched_at = {AFTER_USE}"
        " WHERE repo_id = :repo AND digest = :digest AND deleted_at IS NOT NULL"
        " RETURNING 1 AS done",
        {"repo": repo_id, "digest": digest, "now": connection.now},
    )
    if rows:
        remove(connection, Entry(kind=Kind.MANIFEST, repo_id=repo_id, digest=digest))
    return bool(rows)


def _unmark_blobs(connection: Connection, repo_id: int, digest: str) -> None:
    """A blob may have been deleted after the manifest that uses it; the queue looks again."""
    connection.execute(
        "UPDATE repo_blob SET deleted_at = NULL WHERE repo_id = :repo AND deleted_at IS NOT NULL"
        " AND (digest IN (SELECT blob_digest FROM manifest_blob"
        " WHERE repo_id = :repo AND manifest_digest = :digest)"
        " OR digest IN (SELECT child_digest FROM manifest_child"
        " WHERE repo_id = :repo AND parent_digest = :digest))",
        {"repo": repo_id, "digest": digest},
    )


def _children(connection: Connection, repo_id: int, digest: str) -> list[str]:
    rows = connection.execute(
        "SELECT child_digest FROM manifest_child WHERE repo_id = :repo AND parent_digest = :digest",
        {"repo": repo_id, "digest": digest},
    )
    return [row["child_digest"] for row in rows]
