# SPDX-License-Identifier: Apache-2.0
"""Uploads that go on; the steps U1 and U3 of docs/adr/0006, and their expiry."""

from __future__ import annotations

from dataclasses import dataclass

from cais_registry.model.digest import Digest
from cais_registry.model.names import RepoName
from cais_registry.stores.connection import Connection, Row, one
from cais_registry.stores.layout import blob_key, upload_key
from cais_registry.stores.tombstone_rows import bury


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadRow:
    """An upload.

    Attributes:
        id: Its name.
        algorithm: What its bytes are hashed with while they come.
        digest: What it is about to become; None while that is open.
        expires_at: Microseconds since 1970.
        state: What its bytes' store needs to go on with it; empty for files.
    """

    id: str
    algorithm: str
    digest: Digest | None
    expires_at: int
    state: str

    @property
    def final(self) -> str | None:
        """Where its bytes are moved at the end; None while that is open."""
        return None if self.digest is None else blob_key(self.digest, self.id)

    @property
    def keys(self) -> tuple[str, ...]:
        """Where its bytes may be: as an upload, and where they are moved at the end."""
        if self.digest is None:
            return (upload_key(self.id),)
        return (upload_key(self.id), blob_key(self.digest, self.id))


@dataclass(frozen=True, slots=True, kw_only=True)
class NewUpload:
    """U1: an upload that begins.

    Attributes:
        id: Its name, new.
        repo: Where the blob will be.
        principal: Who sends it.
        algorithm: What its bytes are hashed with while they come.
        digest: What it is about to become, if that is known already.
        ttl: Microseconds after which it expires.
    """

    id: str
    repo: RepoName
    principal: str | None
    algorithm: str
    digest: Digest | None
    ttl: int


def insert_upload(connection: Connection, new: NewUpload) -> None:
    """U1: write an upload down before a byte of it is kept."""
    connection.execute(
        "INSERT INTO upload (id, repo, principal, algorithm, digest, created_at, expires_at)"
        " VALUES (:id, :repo, :principal, :algorithm, :digest, :now, :expires)",
        {
            "id": new.id,
            "repo": new.repo.value,
            "principal": new.principal,
            "algorithm": new.algorithm,
            "digest": None if new.digest is None else str(new.digest),
            "now": connection.now,
            "expires": connection.now + new.ttl,
        },
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenUploads:
    """How many uploads are begun and not ended.

    Attributes:
        everyone: Of all.
        own: Of one user; 0 for someone anonymous.
    """

    everyone: int
    own: int


def count_uploads(connection: Connection, principal: str | None) -> OpenUploads:
    """Count the uploads that go on."""
    (row,) = connection.execute(
        "SELECT COUNT(*) AS everyone, COUNT(CASE WHEN principal = :principal THEN 1 END) AS own"
        " FROM upload",
        {"principal": principal},
    )
    return OpenUploads(everyone=row["everyone"], own=row["own"])


def find_upload(
    connection: Connection, upload: str, repo: RepoName, principal: str | None
) -> UploadRow | None:
    """An upload, if it belongs to this repository and user."""
    row = one(
        connection,
        "SELECT id, repo, principal, algorithm, digest, expires_at, state"
        " FROM upload WHERE id = :id",
        {"id": upload},
    )
    if row is None or row["repo"] != repo.value or row["principal"] != principal:
        return None
    return _upload(row)


def _upload(row: Row) -> UploadRow:
    digest = row["digest"]
    return UploadRow(
        id=row["id"],
        algorithm=row["algorithm"],
        digest=None if digest is None else Digest.parse(digest),
        expires_at=row["expires_at"],
        state=row["state"],
    )


def prolong(connection: Connection, upload: str, ttl: int) -> bool:
    """Put an upload's expiry off; False if the upload is gone."""
    rows = connection.execute(
        "UPDATE upload SET expires_at = :expires WHERE id = :id RETURNING 1 AS done",
        {"id": upload, "expires": connection.now + ttl},
    )
    return bool(rows)


def save_state(connection: Connection, upload: str, *, before: str, after: str) -> bool:
    """Write down how far an upload is; False if another request was faster, or it is gone."""
    rows = connection.execute(
        "UPDATE upload SET state = :after WHERE id = :id AND state = :before RETURNING 1 AS done",
        {"id": upload, "before": before, "after": after},
    )
    return bool(rows)


def record_digest(connection: Connection, upload: str, digest: Digest) -> bool:
    """U3: write down where an upload's bytes are about to go; False if the upload is gone."""
    rows = connection.execute(
        "UPDATE upload SET digest = :digest WHERE id = :id RETURNING 1 AS done",
        {"id": upload, "digest": str(digest)},
    )
    return bool(rows)


def drop_upload(connection: Connection, upload: str) -> UploadRow | None:
    """End an upload for good and bury its keys; None if it is gone."""
    row = one(
        connection,
        "DELETE FROM upload WHERE id = :id RETURNING id, algorithm, digest, expires_at, state",
        {"id": upload},
    )
    if row is None:
        return None
    dropped = _upload(row)
    for key in dropped.keys:
        bury(connection, key, reason="upload dropped")
    return dropped


def expired_uploads(connection: Connection, now: int, after: str, limit: int) -> list[UploadRow]:
    """Uploads that have expired, in the order of their names, those after a name."""
    rows = connection.execute(
        "SELECT id, algorithm, digest, expires_at, state FROM upload"
        " WHERE expires_at <= :now AND id > :after ORDER BY id LIMIT :limit",
        {"now": now, "after": after, "limit": limit},
    )
    return [_upload(row) for row in rows]


def drop_expired(connection: Connection, upload: str, now: int) -> bool:
    """End an upload unless somebody went on with it meanwhile."""
    row = one(connection, "SELECT expires_at FROM upload WHERE id = :id", {"id": upload})
    if row is None or row["expires_at"] > now:
        return False
    return drop_upload(connection, upload) is not None
