# SPDX-License-Identifier: Apache-2.0
"""Pages of listings. Every query starts at a key, so that late pages cost what early ones do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from cais_registry.model.digest import Digest
from cais_registry.model.manifest import OCI_INDEX
from cais_registry.stores.connection import Connection, one


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


def repos_between(connection: Connection, low: str, high: str, limit: int) -> list[str]:
    """Repositories that hold a manifest, in ASCII order, from a text on to another, some of them.

    One manifest of each is looked up. As `EXISTS` it would be a join to PostgreSQL, which has been
    seen to read all manifests for a page near the end.
    """
    rows = connection.execute(
        "SELECT name FROM repository r WHERE name >= :low AND name < :high AND (SELECT 1"
        " FROM manifest WHERE repo_id = r.id AND deleted_at IS NULL LIMIT 1) IS NOT NULL"
        " ORDER BY name LIMIT :limit",
        {"low": low, "high": high, "limit": limit},
    )
    return [row["name"] for row in rows]


_REFERRING = (
    "SELECT m.digest, m.media_type, m.artifact_type, m.size, m.annotations FROM manifest m"
    " WHERE m.repo_id = :repo AND m.subject_digest = :subject AND m.digest > :last"
    " AND m.deleted_at IS NULL AND (CAST(:type AS TEXT) IS NULL OR m.artifact_type = :type)"
)
_IN_INDEX = (
    "SELECT m.digest, m.media_type, m.artifact_type, m.size, m.annotations FROM manifest_child c"
    " JOIN manifest m ON m.repo_id = c.repo_id AND m.digest = c.child_digest"
    " WHERE c.repo_id = :repo AND c.parent_digest = :index AND c.child_digest > :last"
    " AND m.subject_digest IS NULL"
    " AND m.deleted_at IS NULL AND (CAST(:type AS TEXT) IS NULL OR m.artifact_type = :type)"
)


def referrers_after(
    connection: Connection, repo_id: int, subject: Digest, artifact_type: str | None, last: str
) -> Iterator[ReferrerRow]:
    """Manifests that refer to a subject, in the order of their digests, one by one.

    Those that say so themselves, and those without a subject that a client has listed in the
    index under the subject's tag (`Digest.referrers_tag`).
    """
    index = _index_of_referrers(connection, repo_id, subject)
    both = "" if index is None else f" UNION ALL {_IN_INDEX}"
    rows = connection.rows(
        f"{_REFERRING}{both} ORDER BY digest",
        {
            "repo": repo_id,
            "subject": str(subject),
            "index": index,
            "type": artifact_type,
            "last": last,
        },
    )
    for row in rows:
        yield ReferrerRow(
            digest=row["digest"],
            media_type=row["media_type"],
            artifact_type=row["artifact_type"],
            size=row["size"],
            annotations=row["annotations"],
        )


def _index_of_referrers(connection: Connection, repo_id: int, subject: Digest) -> str | None:
    row = one(
        connection,
        "SELECT m.digest FROM tag t"
        " JOIN manifest m ON m.repo_id = t.repo_id AND m.digest = t.manifest_digest"
        " WHERE t.repo_id = :repo AND t.name = :tag AND m.media_type = :kind"
        " AND m.deleted_at IS NULL",
        {"repo": repo_id, "tag": subject.referrers_tag, "kind": OCI_INDEX},
    )
    return None if row is None else str(row["digest"])
