# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageReport:
    """What the registry holds.

    Attributes:
        repositories: That hold a manifest.
        tags: In all of them.
        bytes: Of all blobs, each counted once.
        bytes_reclaimable: Bytes that garbage collection can give back, now or after a window.
        disk_capacity: Bytes of the file system.
        disk_available: Bytes that the server may still write.
    """

    repositories: int
    tags: int
    bytes: int
    bytes_reclaimable: int
    disk_capacity: int
    disk_available: int


class Usage:
    """Counts what the registry holds; counted anew at most every few seconds."""

    async def report(self) -> UsageReport:
        """Count."""
        raise NotImplementedError
