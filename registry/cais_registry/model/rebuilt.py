# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

MOST_PROBLEMS: Final = 1000
"""So many of a kind are told one by one; all are counted."""


@dataclass(slots=True, kw_only=True)
class Rebuilt:
    """What a rebuild of the database has done so far.

    Attributes:
        snapshot: Name of the snapshot that it began with, None for none.
        moved: Where the old database is now, None if there was none.
        blobs_kept: Blobs that the snapshot knows and whose bytes are there.
        blobs_found: Blobs that were found on the volume and have the digest that they should have.
        manifests_kept: Manifests that the snapshot knows.
        manifests_found: Manifests that were found on the volume.
        bytes_read: Bytes of blobs that were hashed.
        gone: Manifests of the snapshot that were collected since, with their blobs.
        notes: The first of them, in words.
        left: How many things could not be brought back.
        problems: The first of them, in words.
    """

    snapshot: str | None = None
    moved: str | None = None
    blobs_kept: int = 0
    blobs_found: int = 0
    manifests_kept: int = 0
    manifests_found: int = 0
    bytes_read: int = 0
    gone: int = 0
    notes: list[str] = field(default_factory=list)
    left: int = 0
    problems: list[str] = field(default_factory=list)

    def collected(self, manifest: str) -> None:
        """Note a manifest (`repository@digest`) that does not come back."""
        self.gone += 1
        if len(self.notes) < MOST_PROBLEMS:
            self.notes.append(f"{manifest} was garbage collected after the snapshot")

    def fail(self, problem: str) -> None:
        """Note something that could not be brought back."""
        self.left += 1
        if len(self.problems) < MOST_PROBLEMS:
            self.problems.append(problem)
