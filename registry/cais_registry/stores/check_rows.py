# SPDX-License-Identifier: Apache-2.0
"""What a check of the store reads from the database, and writes to repair it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cais_registry.model.digest import Digest
from cais_registry.stores.connection import Connection, one
from cais_registry.stores.tombstone_rows import bury


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedBlob:
    """Where a blob's bytes should be, and how many."""

    digest: Digest
    size: int
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedManifest:
    """A manifest of a repository, and where its copy should be."""

    repo_id: int
    repo: str
    digest: Digest
    key: str
    is_mirrored: bool
    content: bytes


def blobs_after(connection: Connection, after: str, limit: int) -> list[CheckedBlob]:
    """Blobs in the order of their digests, those after a text."""
    rows = connection.execute(
        "SELECT digest, size, storage_key FROM blob WHERE digest > :after"
        " ORDER BY digest LIMIT :limit",
        {"after": after, "limit": limit},
    )
    return [
        CheckedBlob(digest=Digest.parse(row["digest"]), size=row["size"], key=row["storage_key"])
        for row in rows
    ]


def still_there(connection: Connection, blob: CheckedBlob) -> bool:
    """Whether a blob's bytes are still meant to be under the same key."""
    found = one(
        connection,
        "SELECT 1 AS one FROM blob WHERE digest = :digest AND storage_key = :key",
        {"digest": str(blob.digest), "key": blob.key},
    )
    return found is not None


def manifests_after(
    connection: Connection, after: tuple[int, str], limit: int
) -> list[CheckedManifest]:
    """Manifests by repository and digest, those after a place."""
    rows = connection.execute(
        "SELECT m.repo_id, r.name, m.digest, m.storage_key, m.mirrored_at, m.content"
        " FROM manifest m JOIN repository r ON r.id = m.repo_id"
        " WHERE m.repo_id > :repo OR (m.repo_id = :repo AND m.digest > :digest)"
        " ORDER BY m.repo_id, m.digest LIMIT :limit",
        {"repo": after[0], "digest": after[1], "limit": limit},
    )
    return [
        CheckedManifest(
            repo_id=row["repo_id"],
            repo=row["name"],
            digest=Digest.parse(row["digest"]),
            key=row["storage_key"],
            is_mirrored=row["mirrored_at"] is not None,
            content=bytes(row["content"]),
        )
        for row in rows
    ]


def unnamed(connection: Connection, keys: Iterable[str]) -> list[str]:
    """Those of some keys that no row names: neither blob, manifest, upload nor tombstone.

    A row names a key before there are bytes, and until there are none (docs/adr/0006). So bytes
    that were seen before this transaction, and are named by no row in it, are nobody's.
    """
    return [key for key in keys if not _is_named(connection, key)]


def _is_named(connection: Connection, key: str) -> bool:
    found = one(
        connection,
        "SELECT 1 AS one FROM blob WHERE storage_key = :key"
        " UNION ALL SELECT 1 FROM manifest WHERE storage_key = :key"
        " UNION ALL SELECT 1 FROM tombstone WHERE storage_key = :key"
        " UNION ALL SELECT 1 FROM upload WHERE id = :upload",
        {"key": key, "upload": key.rpartition("/")[2]},
    )
    return found is not None


def bury_unnamed(connection: Connection, keys: Sequence[tuple[str, int]]) -> list[str]:
    """Put keys that no row names under tombstones; returns them. Sizes are in bytes."""
    sizes = dict(keys)
    orphans = unnamed(connection, sizes)
    for key in orphans:
        bury(connection, key, reason="orphan", size=sizes[key])
    return orphans


def restore_manifest(connection: Connection, manifest: CheckedManifest, content: bytes) -> bool:
    """Put right bytes in the place of damaged ones; False if the manifest is gone."""
    rows = connection.execute(
        "UPDATE manifest SET content = :content"
        " WHERE repo_id = :repo AND digest = :digest RETURNING 1 AS done",
        {"content": content, "repo": manifest.repo_id, "digest": str(manifest.digest)},
    )
    return bool(rows)
