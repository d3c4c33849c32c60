# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

MOST_PROBLEMS: Final = 1000
"""So many are told one by one; all are counted."""


@dataclass(slots=True, kw_only=True)
class Imported:
    """What an import has done so far.

    Attributes:
        repositories: That were gone through.
        manifests: That are here now, and were not before.
        tags: That were set.
        blobs_linked: Whose bytes are shared with the source by a hard link.
        blobs_copied: Whose bytes were copied, from a folder or over the network.
        present: Manifests and blobs that were here before.
        bytes: Of blobs that are here now, and were not before.
        received: Bytes of blobs that were read so far, also of those on their way.
        failed: How many things could not be taken over.
        problems: The first of them, in words.
    """

    repositories: int = 0
    manifests: int = 0
    tags: int = 0
    blobs_linked: int = 0
    blobs_copied: int = 0
    present: int = 0
    bytes: int = 0
    received: int = 0
    failed: int = 0
    problems: list[str] = field(default_factory=list)

    def fail(self, problem: str) -> None:
        """Note something that could not be taken over."""
        self.failed += 1
        if len(self.problems) < MOST_PROBLEMS:
            self.problems.append(problem)
