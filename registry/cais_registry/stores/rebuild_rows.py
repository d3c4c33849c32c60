# SPDX-License-Identifier: Apache-2.0
"""What a rebuild of the database writes (docs/adr/0018)."""

from __future__ import annotations

from dataclasses import dataclass

from cais_registry.model.digest import Digest
from cais_registry.model.manifest_copy import Origin
from cais_registry.stores.blob_rows import join_repo
from cais_registry.stores.connection import Connection, Params, one
from cais_registry.stores.gc_queue import Due, Entry, Kind, enqueue, remove
from cais_registry.stores.manifest_rows import put_manifest
from cais_registry.stores.new_manifest import NewManifest
from cais_registry.stores.repo_rows import drop_if_empty, ensure_repo
from cais_registry.stores.tag_rows import delete_tags_of


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownManifest:
    """A manifest that the database has, and where its copy should be."""

    repo_id: int
    repo: str
    digest: str
    key: str
    deleted_at: int | None = None


def drop_uploads(connection: Connection) -> None:
    """End all uploads: whether one has become a blob meanwhile is not known any more."""
    connection.execute("DELETE FROM upload")


def is_buried(connection: Connection, key: str) -> bool:
    """Whether bytes were garbage when the snapshot was taken: then they are for ever."""
    sql = "SELECT 1 AS one FROM tombstone WHERE storage_key = :key"
    return one(connection, sql, {"key": key}) is not None


def place_blob(connection: Connection, digest: Digest, size: int, key: str) -> None:
    """Write down where the verified bytes of a digest are."""
    connection.execute(
        "INSERT INTO blob (digest, size, storage_key, created_at, verified_at)"
        " VALUES (:digest, :size, :key, :now, :now)"
        " ON CONFLICT (digest) DO UPDATE SET size = excluded.size,"
        " storage_key = excluded.storage_key, verified_at = excluded.verified_at",
        {"digest": str(digest), "size": size, "key": key, "now": connection.now},
    )


def with_key(connection: Connection, key: str) -> KnownManifest | None:
    """The manifest whose copy has a key."""
    found = _known(connection, "m.storage_key = :key", {"key": key})
    return found[0] if found else None


def in_repo(connection: Connection, origin: Origin, digest: Digest) -> KnownManifest | None:
    """A manifest of a repository, deleted or not."""
    params = {"digest": str(digest), "repo": origin.repo.value}
    found = _known(connection, "r.name = :repo AND m.digest = :digest", params)
    return found[0] if found else None


def _known(connection: Connection, where: str, params: Params) -> list[KnownManifest]:
    rows = connection.execute(
        "SELECT m.repo_id, r.name, m.digest, m.storage_key, m.deleted_at FROM manifest m"  # noqa: S608 - constants of this module
        f" JOIN repository r ON r.id = m.repo_id WHERE {where}",
        params,
    )
    return [
        KnownManifest(
            repo_id=row["repo_id"],
            repo=row["name"],
            digest=row["digest"],
            key=row["storage_key"],
            deleted_at=row["deleted_at"],
        )
        for row in rows
    ]


def confirm(connection: Connection, known: KnownManifest, key: str, origin: Origin) -> None:
    """Take over what the copy of a known manifest says: it may have come back meanwhile."""
    if known.deleted_at is not None and known.deleted_at <= origin.pushed_at:
        _join_blobs(connection, known.repo_id, origin)
    parameters: Params = {
        "repo": known.repo_id,
        "digest": known.digest,
        "key": key,
        "pushed": origin.pushed_at,
        "media_type": origin.media_type,
        "now": connection.now,
    }
    connection.execute(
        "UPDATE manifest SET storage_key = :key, mirrored_at = :now,"
        " media_type = CASE WHEN touched_at < :pushed THEN :media_type ELSE media_type END,"
        " deleted_at = CASE WHEN deleted_at > :pushed THEN deleted_at END,"
        " released_at = CASE WHEN released_at > :pushed THEN released_at END"
        " WHERE repo_id = :repo AND digest = :digest",
        parameters,
    )


def insert_manifest(connection: Connection, new: NewManifest, origin: Origin) -> None:
    """Store a manifest that the snapshot does not know, as a push of it would (M1).

    Its repository gets the blobs that it had for it; what is not there comes with the next push.
    """
    repo_id = ensure_repo(connection, origin.repo)
    _join_blobs(connection, repo_id, origin)
    put_manifest(connection, origin.repo, new, ())
    connection.execute(
        "UPDATE manifest SET mirrored_at = :now WHERE repo_id = :repo AND digest = :digest",
        {"now": connection.now, "repo": repo_id, "digest": str(new.digest)},
    )


def _join_blobs(connection: Connection, repo_id: int, origin: Origin) -> None:
    for digest in map(str, origin.blobs):
        if one(connection, "SELECT 1 AS one FROM blob WHERE digest = :d", {"d": digest}):
            join_repo(connection, repo_id, digest)


def users_of_blob(connection: Connection, digest: Digest) -> list[KnownManifest]:
    """The manifests that need a blob, in all repositories."""
    where = (
        "(m.repo_id, m.digest) IN (SELECT e.repo_id, e.manifest_digest FROM repo_blob b"
        " JOIN manifest_blob e ON e.repo_id = b.repo_id AND e.blob_digest = b.digest"
        " WHERE b.digest = :digest)"
    )
    return _known(connection, where, {"digest": str(digest)})


def parents(connection: Connection, child: KnownManifest) -> list[KnownManifest]:
    """The manifests that list another one."""
    where = (
        "m.repo_id = :repo AND m.digest <> :digest AND m.digest IN"
        " (SELECT parent_digest FROM manifest_child"
        " WHERE repo_id = :repo AND child_digest = :digest)"
    )
    return _known(connection, where, {"repo": child.repo_id, "digest": child.digest})


def drop_manifests(connection: Connection, gone: list[KnownManifest]) -> None:
    """Forget manifests that were collected, with their tags.

    What they held is not looked at: it may have got tags since, which nobody knows any more.
    """
    for lost in gone:
        delete_tags_of(connection, lost.repo_id, lost.digest, reason="collected")
        connection.execute(
            "DELETE FROM manifest WHERE repo_id = :repo AND digest = :digest",
            {"repo": lost.repo_id, "digest": lost.digest},
        )
        remove(connection, Entry(kind=Kind.MANIFEST, repo_id=lost.repo_id, digest=lost.digest))
        drop_if_empty(connection, lost.repo_id)


def drop_blob(connection: Connection, digest: Digest) -> bool:
    """Forget a blob without bytes that no manifest needs; False if one does."""
    if users_of_blob(connection, digest):
        return False
    rows = connection.execute(
        "DELETE FROM repo_blob WHERE digest = :digest RETURNING repo_id", {"digest": str(digest)}
    )
    connection.execute("DELETE FROM blob WHERE digest = :digest", {"digest": str(digest)})
    for row in rows:
        drop_if_empty(connection, row["repo_id"])
    return True


def settle(connection: Connection) -> None:
    """Decide about what nobody knows exactly any more, so that nothing of it is lost.

    A blob that nobody has goes to those whose manifests refer to it without needing it. What is
    left over waits for its push as long as a lease. A manifest without a tag may have had one:
    garbage collection leaves it, as one whose tag went elsewhere just now (docs/adr/0006).
    """
    connection.execute(
        "INSERT INTO repo_blob (repo_id, digest, created_at, touched_at)"
        " SELECT DISTINCT c.repo_id, b.digest, :now, :now FROM manifest_child c"
        " JOIN blob b ON b.digest = c.child_digest"
        " WHERE NOT EXISTS (SELECT 1 FROM repo_blob m WHERE m.digest = b.digest)",
        {"now": connection.now},
    )
    rows = connection.rows(
        "SELECT digest FROM blob b"
        " WHERE NOT EXISTS (SELECT 1 FROM repo_blob m WHERE m.digest = b.digest)"
    )
    for digest in [str(row["digest"]) for row in rows]:
        entry = Entry(
            kind=Kind.BYTES, repo_id=0, digest=digest, due=Due.LEASE, since=connection.now
        )
        enqueue(connection, entry)
    connection.execute(
        "UPDATE manifest SET tagged_at = COALESCE(tagged_at, :now), untagged_at = :now"
        " WHERE deleted_at IS NULL AND released_at IS NULL AND NOT EXISTS (SELECT 1 FROM tag t"
        " WHERE t.repo_id = manifest.repo_id AND t.manifest_digest = manifest.digest)"
        " AND NOT EXISTS (SELECT 1 FROM manifest_child c"
        " JOIN manifest p ON p.repo_id = c.repo_id AND p.digest = c.parent_digest"
        " WHERE c.repo_id = manifest.repo_id AND c.child_digest = manifest.digest"
        " AND p.deleted_at IS NULL) AND NOT EXISTS (SELECT 1 FROM manifest s"
        " WHERE s.repo_id = manifest.repo_id AND s.digest = manifest.subject_digest"
        " AND s.deleted_at IS NULL)",
        {"now": connection.now},
    )


def keys_after(connection: Connection, after: str, limit: int) -> list[str]:
    """Keys of blobs and copies that the database names, in order, those after a text."""
    rows = connection.execute(
        "SELECT storage_key FROM blob WHERE storage_key > :after"
        " UNION ALL SELECT storage_key FROM manifest WHERE storage_key > :after"
        " ORDER BY storage_key LIMIT :limit",
        {"after": after, "limit": limit},
    )
    return [row["storage_key"] for row in rows]
