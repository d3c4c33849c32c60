# SPDX-License-Identifier: Apache-2.0
"""Manifests and what they refer to; the step M1 of docs/adr/0006."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cais_registry.model.digest import Digest
from cais_registry.model.manifest_copy import ManifestCopy, Origin
from cais_registry.model.names import RepoName, Tag
from cais_registry.stores.connection import Connection, Row, one
from cais_registry.stores.gc_queue import Due, Entry, Kind, enqueue, remove
from cais_registry.stores.leases import AFTER_USE, USE, promised_at
from cais_registry.stores.new_manifest import NewManifest
from cais_registry.stores.repo_rows import ensure_repo, find_repo
from cais_registry.stores.tag_rows import delete_tags_of, point_tag


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestRow:
    """A manifest without its bytes.

    Attributes:
        digest: Its content address.
        media_type: What it was pushed as.
        size: In bytes.
        promised_at: Time of the promise that stands, 0 when it was used (`leases.is_fresh`).
    """

    digest: Digest
    media_type: str
    size: int
    promised_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Put:
    """What M1 did.

    Attributes:
        missing: Digests that the repository lacks.
        copy: Storage key and content of the copy that has to be written still, if any.
        previous: Digest that each tag pointed at before, None for a new tag.
    """

    missing: tuple[str, ...] = ()
    copy: tuple[str, ManifestCopy] | None = None
    previous: tuple[str | None, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _References:
    blobs: tuple[str, ...]
    children: tuple[str, ...]
    missing: tuple[str, ...]


def put_manifest(
    connection: Connection, repo: RepoName, new: NewManifest, tags: Sequence[Tag]
) -> Put:
    """M1: store a manifest, bind what it refers to, point tags at it.

    Unless nothing is missing, nothing is changed.
    """
    repo_id = find_repo(connection, repo)
    found = _resolve(connection, repo_id, new)
    if found.missing:
        return Put(missing=found.missing)
    repo_id = ensure_repo(connection, repo)
    copy_key = _upsert(connection, repo_id, new)
    _bind(connection, repo_id, str(new.digest), found)
    if new.subject is not None and _is_live(connection, repo_id, str(new.subject)):
        _bound_manifest(connection, repo_id, str(new.digest))
    digest = str(new.digest)
    previous = tuple(point_tag(connection, repo_id, tag.value, digest) for tag in tags)
    if copy_key is None:
        return Put(previous=previous)
    copy = _copy(repo, new, found, connection.now)
    return Put(copy=(copy_key, copy), previous=previous)


def _copy(repo: RepoName, new: NewManifest, found: _References, now: int) -> ManifestCopy:
    origin = Origin(
        repo=repo,
        media_type=new.media_type,
        pushed_at=now,
        blobs=tuple(map(Digest.parse, found.blobs)),
    )
    return ManifestCopy(content=new.content, origin=origin)


def _resolve(connection: Connection, repo_id: int | None, new: NewManifest) -> _References:
    """Sort what a manifest refers to by what the repository has of it."""
    blobs: set[str] = set()
    children: set[str] = set()
    missing: list[str] = []
    for digest in dict.fromkeys(map(str, new.needed)):
        if _has_blob(connection, repo_id, digest):
            blobs.add(digest)
        else:
            (children.add if new.sparse else missing.append)(digest)
    for digest in dict.fromkeys(map(str, new.children)):
        as_blob = _has_blob(connection, repo_id, digest)
        if as_blob:
            blobs.add(digest)
        if as_blob or new.sparse or _is_live(connection, repo_id, digest):
            children.add(digest)
        else:
            missing.append(digest)
    for digest in dict.fromkeys(map(str, new.optional)):
        (blobs.add if _has_blob(connection, repo_id, digest) else children.add)(digest)
    return _References(
        blobs=tuple(sorted(blobs)), children=tuple(sorted(children)), missing=tuple(missing)
    )


def _has_blob(connection: Connection, repo_id: int | None, digest: str) -> bool:
    return bool(
        connection.execute(
            "SELECT 1 FROM repo_blob WHERE repo_id = :repo AND digest = :digest"
            " AND deleted_at IS NULL",
            {"repo": repo_id, "digest": digest},
        )
    )


def _is_live(connection: Connection, repo_id: int | None, digest: str) -> bool:
    return bool(
        connection.execute(
            "SELECT 1 FROM manifest WHERE repo_id = :repo AND digest = :digest"
            " AND deleted_at IS NULL",
            {"repo": repo_id, "digest": digest},
        )
    )


def _upsert(connection: Connection, repo_id: int, new: NewManifest) -> str | None:
    """A manifest that is there keeps its row; a push brings it back from any kind of deletion.

    Its copy is written anew when that says something new: a rebuild learns from it what came back.

    Returns:
        Storage key of the copy, if that is to be written.
    """
    rows = connection.execute(
        "INSERT INTO manifest (repo_id, digest, media_type, artifact_type, subject_digest,"
        " annotations, size, storage_key, created_at, touched_at, content) VALUES (:repo, :digest,"
        " :media_type, :artifact_type, :subject, :annotations, :size, :key, :now, :now, :content)"
        " ON CONFLICT (repo_id, digest) DO UPDATE SET touched_at ="
        " CASE WHEN manifest.bound_at >= :now THEN manifest.bound_at + 1 ELSE :now END,"
        " mirrored_at = CASE WHEN manifest.deleted_at IS NULL AND manifest.released_at IS NULL"
        " AND manifest.media_type = excluded.media_type THEN manifest.mirrored_at END,"
        " untagged_at = CASE WHEN manifest.deleted_at IS NULL AND manifest.released_at IS NULL"
        " THEN manifest.untagged_at ELSE :now END,"
        " media_type = excluded.media_type, deleted_at = NULL, released_at = NULL"
        " RETURNING storage_key, mirrored_at",
        {
            "repo": repo_id,
            "digest": str(new.digest),
            "media_type": new.media_type,
            "artifact_type": new.artifact_type,
            "subject": None if new.subject is None else str(new.subject),
            "annotations": new.annotations,
            "size": len(new.content),
            "key": new.key,
            "now": connection.now,
            "content": new.content,
        },
    )
    remove(connection, Entry(kind=Kind.MANIFEST, repo_id=repo_id, digest=str(new.digest)))
    return None if rows[0]["mirrored_at"] is not None else str(rows[0]["storage_key"])


def _bind(connection: Connection, repo_id: int, manifest: str, found: _References) -> None:
    for digest in found.blobs:
        connection.execute(
            "INSERT INTO manifest_blob (repo_id, manifest_digest, blob_digest)"
            " VALUES (:repo, :manifest, :digest) ON CONFLICT DO NOTHING",
            {"repo": repo_id, "manifest": manifest, "digest": digest},
        )
        connection.execute(
            f"UPDATE repo_blob SET bound_at = {USE} WHERE repo_id = :repo AND digest = :digest",  # noqa: S608 - a constant
            {"now": connection.now, "repo": repo_id, "digest": digest},
        )
    for digest in found.children:
        connection.execute(
            "INSERT INTO manifest_child (repo_id, parent_digest, child_digest)"
            " VALUES (:repo, :manifest, :digest) ON CONFLICT DO NOTHING",
            {"repo": repo_id, "manifest": manifest, "digest": digest},
        )
        _bound_manifest(connection, repo_id, digest)


def _bound_manifest(connection: Connection, repo_id: int, digest: str) -> None:
    connection.execute(
        f"UPDATE manifest SET bound_at = {USE} WHERE repo_id = :repo AND digest = :digest",  # noqa: S608 - a constant
        {"now": connection.now, "repo": repo_id, "digest": digest},
    )


_FIND = (
    "SELECT m.digest, m.media_type, m.size, m.touched_at, m.bound_at{content} FROM repository r"
    " JOIN manifest m ON m.repo_id = r.id WHERE r.name = :repo AND m.deleted_at IS NULL AND "
)
_BY_DIGEST = "m.digest = :reference"
_BY_TAG = "m.digest = (SELECT manifest_digest FROM tag WHERE repo_id = r.id AND name = :reference)"


def _find(
    connection: Connection, repo: RepoName, reference: Tag | Digest, *, content: bool
) -> Row | None:
    by = _BY_DIGEST if isinstance(reference, Digest) else _BY_TAG
    sql = _FIND.format(content=", m.content" if content else "") + by
    return one(connection, sql, {"repo": repo.value, "reference": str(reference)})


def _row(row: Row) -> ManifestRow:
    return ManifestRow(
        digest=Digest.parse(row["digest"]),
        media_type=row["media_type"],
        size=row["size"],
        promised_at=promised_at(row["touched_at"], row["bound_at"]),
    )


def find_manifest(
    connection: Connection, repo: RepoName, reference: Tag | Digest
) -> ManifestRow | None:
    """A manifest that a repository has, by tag or digest."""
    row = _find(connection, repo, reference, content=False)
    return None if row is None else _row(row)


def read_manifest(
    connection: Connection, repo: RepoName, reference: Tag | Digest
) -> tuple[ManifestRow, bytes] | None:
    """A manifest that a repository has, and its bytes."""
    row = _find(connection, repo, reference, content=True)
    return None if row is None else (_row(row), bytes(row["content"]))


def promise_manifest(connection: Connection, repo: RepoName, digest: Digest) -> bool:
    """H1 for manifests: renew the lease of one that somebody who may push is told exists.

    Returns:
        False if the repository does not have it (any more).
    """
    rows = connection.execute(
        f"UPDATE manifest SET touched_at = {AFTER_USE} WHERE digest = :digest"  # noqa: S608 - a constant
        " AND deleted_at IS NULL"
        " AND repo_id = (SELECT id FROM repository WHERE name = :repo) RETURNING 1 AS done",
        {"now": connection.now, "digest": str(digest), "repo": repo.value},
    )
    return bool(rows)


def delete_manifest(connection: Connection, repo_id: int, digest: Digest) -> tuple[str, ...] | None:
    """Delete a manifest softly, with its tags; what it refers to stays bound until the purge.

    Returns:
        The tags that it had; None if the repository does not have it.
    """
    rows = connection.execute(
        "UPDATE manifest SET deleted_at = :now WHERE repo_id = :repo AND digest = :digest"
        " AND deleted_at IS NULL RETURNING 1 AS done",
        {"now": connection.now, "repo": repo_id, "digest": str(digest)},
    )
    if not rows:
        return None
    tags = delete_tags_of(connection, repo_id, str(digest), reason="manifest deleted")
    entry = Entry(
        kind=Kind.MANIFEST,
        repo_id=repo_id,
        digest=str(digest),
        due=Due.WINDOW,
        since=connection.now,
        explicit=True,
    )
    enqueue(connection, entry)
    return tags


def parents_of(connection: Connection, repo_id: int, digest: Digest) -> list[str]:
    """Some live manifests of a repository whose index lists a digest; five at most."""
    rows = connection.execute(
        "SELECT c.parent_digest FROM manifest_child c"
        " JOIN manifest m ON m.repo_id = c.repo_id AND m.digest = c.parent_digest"
        " WHERE c.repo_id = :repo AND c.child_digest = :digest AND m.deleted_at IS NULL LIMIT 5",
        {"repo": repo_id, "digest": str(digest)},
    )
    return [row["parent_digest"] for row in rows]
