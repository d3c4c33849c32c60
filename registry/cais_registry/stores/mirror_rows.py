# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Sequence

from cais_registry.model.digest import Digest
from cais_registry.model.manifest_copy import ManifestCopy, Origin
from cais_registry.model.names import RepoName
from cais_registry.stores.connection import Connection, Row


def unmirrored(connection: Connection, limit: int) -> list[tuple[str, ManifestCopy]]:
    """Keys and contents of copies that are not beside the blobs yet."""
    rows = connection.execute(
        "SELECT m.repo_id, r.name, m.digest, m.storage_key, m.media_type, m.touched_at, m.bound_at,"
        " m.content FROM manifest m JOIN repository r ON r.id = m.repo_id"
        " WHERE m.mirrored_at IS NULL LIMIT :limit",
        {"limit": limit},
    )
    return [(row["storage_key"], _copy(connection, row)) for row in rows]


def _copy(connection: Connection, row: Row) -> ManifestCopy:
    blobs = connection.execute(
        "SELECT blob_digest FROM manifest_blob WHERE repo_id = :repo AND manifest_digest = :digest"
        " ORDER BY blob_digest",
        {"repo": row["repo_id"], "digest": row["digest"]},
    )
    origin = Origin(
        repo=RepoName(row["name"]),
        media_type=row["media_type"],
        pushed_at=max(row["touched_at"], row["bound_at"]),
        blobs=tuple(Digest.parse(blob["blob_digest"]) for blob in blobs),
    )
    return ManifestCopy(content=bytes(row["content"]), origin=origin)


def mark_mirrored(connection: Connection, keys: Sequence[str]) -> list[str]:
    """Write down that copies are there; returns those whose manifest was purged meanwhile."""
    return [key for key in keys if not _mark(connection, key)]


def _mark(connection: Connection, key: str) -> bool:
    rows = connection.execute(
        "UPDATE manifest SET mirrored_at = :now WHERE storage_key = :key RETURNING 1 AS done",
        {"now": connection.now, "key": key},
    )
    return bool(rows)


def copy_again(connection: Connection, key: str) -> bool:
    """Have a manifest's copy written anew; False if the manifest is gone."""
    rows = connection.execute(
        "UPDATE manifest SET mirrored_at = NULL WHERE storage_key = :key RETURNING 1 AS done",
        {"key": key},
    )
    return bool(rows)
