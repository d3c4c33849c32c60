# SPDX-License-Identifier: Apache-2.0
"""Blobs and their membership in repositories; the steps U4, H1 and H2 of docs/adr/0006."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from cais_registry.model.digest import Digest
from cais_registry.model.names import RepoName
from cais_registry.stores.connection import Connection, one
from cais_registry.stores.gc_queue import Due, Entry, Kind, enqueue
from cais_registry.stores.leases import AFTER_USE, promised_at
from cais_registry.stores.repo_rows import ensure_repo
from cais_registry.stores.tombstone_rows import bury


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobRow:
    """Where a blob's bytes are.

    Attributes:
        size: In bytes.
        key: Storage key of the bytes.
        promised_at: Time of the promise that stands, 0 when it was used (`leases.is_fresh`).
    """

    size: int
    key: str
    promised_at: int = 0


class Committed(StrEnum):
    """What U4 did."""

    LOST = "lost"  # the upload is not ours any more
    NEEDS_BYTES = "needs bytes"  # nothing done: these bytes are wanted after all
    STORED = "stored"
    DUPLICATE = "duplicate"  # the bytes were there already
    TAKEN = "taken"  # another request has ended the same upload as the same blob


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """What U4 is to do.

    Attributes:
        upload: The upload that ends.
        spare: Key under which the upload's bytes are if they have not been published.
        repo: Where the blob goes.
        digest: Its digest, verified.
        size: Its size in bytes.
        key: Where the bytes are, durable; None when they have not been made so.
        broken: Key of bytes for this digest that were seen to be damaged or missing.
        leaves_spare: Whether there are bytes under `spare` also after these were published.
    """

    upload: str
    spare: str
    repo: RepoName
    digest: Digest
    size: int
    key: str | None
    broken: str | None
    leaves_spare: bool = False


def find_blob(connection: Connection, digest: Digest) -> BlobRow | None:
    """A blob whoever has it; for deciding where bytes go, never for answering a client."""
    row = one(
        connection,
        "SELECT size, storage_key FROM blob WHERE digest = :digest",
        {"digest": str(digest)},
    )
    return None if row is None else BlobRow(size=row["size"], key=row["storage_key"])


def find_member(connection: Connection, repo: RepoName, digest: Digest) -> BlobRow | None:
    """A blob that a repository has."""
    row = one(
        connection,
        "SELECT b.size, b.storage_key, m.touched_at, m.bound_at"
        " FROM repository r JOIN repo_blob m ON m.repo_id = r.id JOIN blob b ON b.digest = m.digest"
        " WHERE r.name = :repo AND m.digest = :digest AND m.deleted_at IS NULL",
        {"repo": repo.value, "digest": str(digest)},
    )
    if row is None:
        return None
    promised = promised_at(row["touched_at"], row["bound_at"])
    return BlobRow(size=row["size"], key=row["storage_key"], promised_at=promised)


def promise_member(connection: Connection, repo: RepoName, digest: Digest) -> bool:
    """H1: renew the lease of a blob that somebody who may push is told exists.

    Returns:
        False if the repository does not have it (any more).
    """
    rows = connection.execute(
        f"UPDATE repo_blob SET touched_at = {AFTER_USE} WHERE digest = :digest"  # noqa: S608 - a constant
        " AND deleted_at IS NULL"
        " AND repo_id = (SELECT id FROM repository WHERE name = :repo) RETURNING 1 AS done",
        {"now": connection.now, "digest": str(digest), "repo": repo.value},
    )
    return bool(rows)


def repos_with(connection: Connection, digest: Digest) -> Iterator[RepoName]:
    """Names of the repositories that have a blob."""
    rows = connection.rows(
        "SELECT r.name FROM repo_blob m JOIN repository r ON r.id = m.repo_id"
        " WHERE m.digest = :digest AND m.deleted_at IS NULL",
        {"digest": str(digest)},
    )
    return (RepoName(row["name"]) for row in rows)


def mount_blob(connection: Connection, repo: RepoName, digest: Digest, source: RepoName) -> bool:
    """H2: give a repository a blob that another one has.

    Returns:
        False if the other one does not have it (any more).
    """
    if find_member(connection, source, digest) is None:
        return False
    join_repo(connection, ensure_repo(connection, repo), str(digest))
    return True


def commit_upload(connection: Connection, commit: Commit) -> Committed:
    """U4: end an upload whose digest is verified, and give the blob to its repository.

    The upload's own row has to be there: whoever removed it has taken over its keys, and a key
    that may be deleted must never be assigned.
    """
    parameters = {"id": commit.upload}
    if one(connection, "SELECT id FROM upload WHERE id = :id", parameters) is None:
        if commit.key is not None and _is_named(connection, commit.key):
            return Committed.TAKEN
        _bury_own(connection, commit, "lost")
        return Committed.LOST
    found = find_blob(connection, commit.digest)
    needed = found is None or found.key == commit.broken
    if needed and commit.key is None:
        return Committed.NEEDS_BYTES
    connection.execute("DELETE FROM upload WHERE id = :id", parameters)
    if needed and commit.key is not None:
        _assign(connection, commit, commit.key, found)
        if commit.leaves_spare:
            bury(connection, commit.spare, reason="published")
    else:
        _bury_own(connection, commit, "duplicate")
    join_repo(connection, ensure_repo(connection, commit.repo), str(commit.digest))
    return Committed.STORED if needed else Committed.DUPLICATE


def refuse_upload(connection: Connection, commit: Commit) -> list[str]:
    """End an upload whose blob the policy does not take.

    Returns:
        Keys of the bytes that nobody wants, to be deleted.
    """
    connection.execute("DELETE FROM upload WHERE id = :id", {"id": commit.upload})
    if commit.key is None or _is_named(connection, commit.key):
        bury(connection, commit.spare, reason="refused")
        return [commit.spare]
    _bury_own(connection, commit, "refused")
    return [commit.spare, commit.key]


def _is_named(connection: Connection, key: str) -> bool:
    """Whether another request for the same upload has committed the same bytes before."""
    named = "SELECT 1 AS named FROM blob WHERE storage_key = :key"
    return one(connection, named, {"key": key}) is not None


def _assign(connection: Connection, commit: Commit, key: str, found: BlobRow | None) -> None:
    connection.execute(
        "INSERT INTO blob (digest, size, storage_key, created_at, verified_at)"
        " VALUES (:digest, :size, :key, :now, :now)"
        " ON CONFLICT (digest) DO UPDATE SET size = excluded.size,"
        " storage_key = excluded.storage_key, verified_at = excluded.verified_at",
        {"digest": str(commit.digest), "size": commit.size, "key": key, "now": connection.now},
    )
    if found is not None:
        bury(connection, found.key, reason="damaged", digest=str(commit.digest))


def _bury_own(connection: Connection, commit: Commit, reason: str) -> None:
    """The upload's bytes are not wanted; whoever sent them deletes them at once, hence size 0."""
    bury(connection, commit.spare, reason=reason, digest=str(commit.digest))
    if commit.key is not None:
        bury(connection, commit.key, reason=reason, digest=str(commit.digest))


def join_repo(connection: Connection, repo_id: int, digest: str) -> None:
    """Give a repository a blob that has a row, with a lease."""
    connection.execute(
        "INSERT INTO repo_blob (repo_id, digest, created_at, touched_at)"
        " VALUES (:repo, :digest, :now, :now)"
        " ON CONFLICT (repo_id, digest) DO UPDATE SET"
        " touched_at = CASE WHEN repo_blob.bound_at >= :now THEN repo_blob.bound_at + 1"
        " ELSE :now END, deleted_at = NULL",
        {"repo": repo_id, "digest": digest, "now": connection.now},
    )
    enqueue(
        connection,
        Entry(
            kind=Kind.MEMBER,
            repo_id=repo_id,
            digest=digest,
            due=Due.LEASE,
            since=connection.now,
        ),
    )


def delete_member(connection: Connection, repo_id: int, digest: Digest) -> bool:
    """Take a blob out of a repository, softly.

    Returns:
        False if the repository does not have it.
    """
    rows = connection.execute(
        "UPDATE repo_blob SET deleted_at = :now WHERE repo_id = :repo AND digest = :digest"
        " AND deleted_at IS NULL RETURNING 1 AS done",
        {"now": connection.now, "repo": repo_id, "digest": str(digest)},
    )
    if rows:
        entry = Entry(
            kind=Kind.MEMBER,
            repo_id=repo_id,
            digest=str(digest),
            due=Due.WINDOW,
            since=connection.now,
            explicit=True,
        )
        enqueue(connection, entry)
    return bool(rows)


def users_of(connection: Connection, repo_id: int, digest: Digest) -> list[str]:
    """Some digests of live manifests of a repository that refer to a digest; five at most."""
    rows = connection.execute(
        "SELECT m.digest FROM ("
        " SELECT manifest_digest AS user FROM manifest_blob"
        " WHERE repo_id = :repo AND blob_digest = :digest"
        " UNION SELECT parent_digest FROM manifest_child"
        " WHERE repo_id = :repo AND child_digest = :digest"
        ") AS edge JOIN manifest m ON m.repo_id = :repo AND m.digest = edge.user"
        " WHERE m.deleted_at IS NULL LIMIT 5",
        {"repo": repo_id, "digest": str(digest)},
    )
    return [row["digest"] for row in rows]
