# SPDX-License-Identifier: Apache-2.0
"""What a check of the store found."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

MOST_FINDINGS: Final = 1000
"""So many are told one by one; all are counted."""


class Kind(StrEnum):
    """What is wrong."""

    DATABASE = "database"  # its own check of itself fails
    BLOB_MISSING = "blob-missing"
    BLOB_SIZE = "blob-size"
    BLOB_DIGEST = "blob-digest"
    MANIFEST_DIGEST = "manifest-digest"
    COPY_MISSING = "copy-missing"
    COPY_DAMAGED = "copy-damaged"
    ORPHAN = "orphan"
    USAGE_WRONG = "usage-wrong"  # the number of stored bytes that the quota rests on


class CheckState(StrEnum):
    """How far a check is."""

    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        kind: What.
        where: Storage key, or what else names the place.
        message: What it means and what to do, for people.
        is_repaired: Whether nothing is left to do.
    """

    kind: Kind
    where: str
    message: str
    is_repaired: bool


@dataclass(slots=True, kw_only=True)
class Check:
    """A check that goes on, or has ended.

    Attributes:
        blobs: Rows of blobs that were looked at.
        manifests: Rows of manifests that were looked at.
        files: Files that were looked at.
        bytes_read: Bytes of content that were hashed.
        found: How many findings there are of each kind.
        left: How many of them are not repaired.
        findings: The first of them.
        state: How far it is.
    """

    blobs: int = 0
    manifests: int = 0
    files: int = 0
    bytes_read: int = 0
    found: Counter[Kind] = field(default_factory=Counter)
    left: int = 0
    findings: list[Finding] = field(default_factory=list)
    state: CheckState = CheckState.RUNNING

    def add(self, finding: Finding) -> None:
        """Note a finding."""
        self.found[finding.kind] += 1
        self.left += not finding.is_repaired
        if len(self.findings) < MOST_FINDINGS:
            self.findings.append(finding)
