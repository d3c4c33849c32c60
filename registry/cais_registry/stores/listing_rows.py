# SPDX-License-Identifier: Apache-2.0
"""Pages of listings. Every query starts at a key, so that late pages cost what early ones do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from cais_registry.stores.connection import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferrerRow:
    """A manifest that refers to another; annotations are JSON."""

    digest: str
    media_type: str
    artifact_type: str | None
    size: int
    annotations: str


def tags_after(connection: Connection, repo_id: int, last: str, limit: int) -> list[str]:
    """Tags of a repository in ASCII order, those after a text."""
    rows = connection.execute(
        "SELECT name FROM tag WHERE repo_id = :repo AND name > :last ORDER BY name LIMIT :limit",
        {"repo": repo_id, "last": last, "limit": limit},
    )
    return [row["name"] for row in rows]


def repos_between(connection: Connection, low: str, high: str) -> Iterator[str]:
    """Repositories that hold a manifest, in ASCII order, from a text on to another, one by one."""
    rows = connection.rows(
        "SELECT name FROM repository r WHERE name >= :low AND name < :high AND EXISTS"
        " (SELECT 1 FROM manifest WHERE repo_id = r.id AND deleted_at IS NULL) ORDER BY name",
        {"low": low, "high": high},
    )
    return (row["name"] for row in rows)


def referrers_after(
    connection: Connection, repo_id: int, subject: str, artifact_type: str | None, last: str
) -> Iterator[ReferrerRow]:
    """Manifests that refer to a subject, in the order of their digests, one by one."""
    rows = connection.rows(
        "SELECT digest, media_type, artifact_type, size, annotations FROM manifest"
        " WHERE repo_id = :repo AND subject_digest = :subject AND digest > :last"
        " AND deleted_at IS NULL"
        " AND (CAST(:type AS TEXT) IS NULL OR artifact_type = :type) ORDER BY digest",
        {"repo": repo_id, "subject": subject, "type": artifact_type, "last": last},
    )
    for row in rows:
        yield ReferrerRow(
            digest=row["digest"],
            media_type=row["media_type"],
            artifact_type=row["artifact_type"],
            size=row["size"],
            annotations=row["annotations"],
        )


def totals(connection: Connection) -> tuple[int, int]:
    """Repositories that hold a manifest, and tags."""
    rows = connection.execute(
        "SELECT (SELECT COUNT(*) FROM repository r WHERE EXISTS"
        " (SELECT 1 FROM manifest WHERE repo_id = r.id AND deleted_at IS NULL)) AS repositories,"
        " (SELECT COUNT(*) FROM tag) AS tags"
    )
    row = rows[0]
    return row["repositories"], row["tags"]
