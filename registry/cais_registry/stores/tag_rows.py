# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from cais_registry.stores.connection import Connection, Row, one
from cais_registry.stores.gc_queue import Due, Entry, Kind, enqueue
from cais_registry.stores.leases import USE


def point_tag(connection: Connection, repo_id: int, name: str, digest: str) -> str | None:
    """Point a tag at a manifest; the one that it pointed at before may be untagged now.

    Returns:
        Digest of the manifest that it pointed at before, None for a new tag.
    """
    before = one(
        connection,
        "SELECT manifest_digest FROM tag WHERE repo_id = :repo AND name = :name",
        {"repo": repo_id, "name": name},
    )
    connection.execute(
        "INSERT INTO tag (repo_id, name, manifest_digest, created_at, updated_at)"
        " VALUES (:repo, :name, :digest, :now, :now)"
        " ON CONFLICT (repo_id, name) DO UPDATE SET manifest_digest = excluded.manifest_digest,"
        " updated_at = excluded.updated_at",
        {"repo": repo_id, "name": name, "digest": digest, "now": connection.now},
    )
    connection.execute(
        f"UPDATE manifest SET tagged_at = :now, bound_at = {USE}, untagged_at = NULL,"  # noqa: S608 - a constant
        " mirrored_at = CASE WHEN released_at IS NULL THEN mirrored_at END,"  # as in `put_manifest`
        " released_at = NULL WHERE repo_id = :repo AND digest = :digest",
        {"repo": repo_id, "digest": digest, "now": connection.now},
    )
    if before is None:
        return None
    previous: str = before["manifest_digest"]
    if previous != digest:
        _untagged(connection, repo_id, previous)
    return previous


def _untagged(connection: Connection, repo_id: int, digest: str) -> None:
    connection.execute(
        "UPDATE manifest SET untagged_at = :now WHERE repo_id = :repo AND digest = :digest"
        " AND NOT EXISTS"
        " (SELECT 1 FROM tag WHERE repo_id = :repo AND manifest_digest = :digest)",
        {"repo": repo_id, "digest": digest, "now": connection.now},
    )


def delete_tag(
    connection: Connection, repo_id: int, name: str, *, reason: str = "tag deleted"
) -> str | None:
    """Delete a tag and nothing else; a manifest that loses its last tag so is released.

    Args:
        connection: The transaction.
        repo_id: The repository.
        name: The tag.
        reason: What is remembered about it.

    Returns:
        Digest of the manifest that it pointed at, None if the repository does not have it.
    """
    row = one(
        connection,
        "DELETE FROM tag WHERE repo_id = :repo AND name = :name RETURNING name, manifest_digest",
        {"repo": repo_id, "name": name},
    )
    if row is None:
        return None
    _remember(connection, repo_id, row, reason)
    released_at, digest = connection.now, str(row["manifest_digest"])
    if release(connection, repo_id, digest, released_at):
        entry = Entry(
            kind=Kind.MANIFEST,
            repo_id=repo_id,
            digest=digest,
            due=Due.WINDOW,
            since=released_at,
            explicit=True,
        )
        enqueue(connection, entry)
    return digest


def release(connection: Connection, repo_id: int, digest: str, when: int) -> bool:
    """Mark a manifest as released if it has no tag any more."""
    rows = connection.execute(
        "UPDATE manifest SET released_at = :when"
        " WHERE repo_id = :repo AND digest = :digest AND NOT EXISTS"
        " (SELECT 1 FROM tag WHERE repo_id = :repo AND manifest_digest = :digest)"
        " RETURNING 1 AS done",
        {"repo": repo_id, "digest": digest, "when": when},
    )
    return bool(rows)


def delete_tags_of(
    connection: Connection, repo_id: int, digest: str, *, reason: str
) -> tuple[str, ...]:
    """Delete all tags of a manifest; returns their names."""
    rows = connection.execute(
        "DELETE FROM tag WHERE repo_id = :repo AND manifest_digest = :digest"
        " RETURNING name, manifest_digest",
        {"repo": repo_id, "digest": digest},
    )
    for row in rows:
        _remember(connection, repo_id, row, reason)
    return tuple(sorted(row["name"] for row in rows))


def drop_tag(connection: Connection, repo_id: int, name: str, *, reason: str) -> None:
    """Delete a tag without any consequence for its manifest."""
    row = one(
        connection,
        "DELETE FROM tag WHERE repo_id = :repo AND name = :name RETURNING name, manifest_digest",
        {"repo": repo_id, "name": name},
    )
    if row is not None:
        _remember(connection, repo_id, row, reason)


def _remember(connection: Connection, repo_id: int, row: Row, reason: str) -> None:
    connection.execute(
        "INSERT INTO deleted_tag (repo_id, name, manifest_digest, deleted_at, reason)"
        " VALUES (:repo, :name, :digest, :now, :reason)",
        {
            "repo": repo_id,
            "name": row["name"],
            "digest": row["manifest_digest"],
            "now": connection.now,
            "reason": reason,
        },
    )


def forget_deleted_tags(connection: Connection, before: int, limit: int) -> int:
    """Drop the history of tags that were deleted before a moment; returns how many."""
    rows = connection.execute(
        "DELETE FROM deleted_tag WHERE id IN"
        " (SELECT id FROM deleted_tag WHERE deleted_at <= :before LIMIT :limit) RETURNING id",
        {"before": before, "limit": limit},
    )
    return len(rows)
