# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import dataclass

from cais_registry.stores.connection import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """What the whole registry holds.

    Attributes:
        repositories: That hold a manifest.
        tags: In all of them.
        blobs: Each counted once.
        uploads: That go on, or were left.
    """

    repositories: int
    tags: int
    blobs: int
    uploads: int


def totals(connection: Connection) -> Totals:
    """Count; takes the longer the more there is."""
    (row,) = connection.execute(
        "SELECT (SELECT COUNT(*) FROM repository r WHERE EXISTS"
        " (SELECT 1 FROM manifest WHERE repo_id = r.id AND deleted_at IS NULL)) AS repositories,"
        " (SELECT COUNT(*) FROM tag) AS tags,"
        " (SELECT COUNT(*) FROM blob) AS blobs,"
        " (SELECT COUNT(*) FROM upload) AS uploads"
    )
    return Totals(
        repositories=row["repositories"],
        tags=row["tags"],
        blobs=row["blobs"],
        uploads=row["uploads"],
    )
