# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class RunState(StrEnum):
    """Where a run of garbage collection stands."""

    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"


@dataclass(slots=True)
class RunTotals:
    """What the runs of one process did, dry runs left out.

    Attributes:
        succeeded: Runs.
        failed: Runs.
        seconds: From start to finish, added up.
        manifests: Deleted.
        blobs: Deleted.
        uploads: Expired.
        tags: Deleted by rules of retention.
        bytes: Given back to the disk.
    """

    succeeded: int = 0
    failed: int = 0
    seconds: float = 0.0
    manifests: int = 0
    blobs: int = 0
    uploads: int = 0
    tags: int = 0
    bytes: int = 0

    def add(self, run: Run) -> None:
        """Add a run that has finished."""
        if run.dry_run or run.finished_at is None:
            return
        if run.state is RunState.SUCCEEDED:
            self.succeeded += 1
        else:
            self.failed += 1
        self.seconds += (run.finished_at - run.started_at).total_seconds()
        self.manifests += run.manifests_deleted
        self.blobs += run.blobs_deleted
        self.uploads += run.uploads_expired
        self.tags += run.tags_deleted
        self.bytes += run.bytes_reclaimed


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run of garbage collection, as reported while and after it goes.

    Attributes:
        id: Unguessable name of the run.
        state: Running, Succeeded or Failed.
        dry_run: True when the run only counts what a real one would do.
        started_at: UTC.
        finished_at: UTC, None while it goes.
        duration_seconds: From start to finish, or to now.
        manifests_deleted: Manifests purged.
        blobs_deleted: Blobs whose bytes nothing refers to any more.
        bytes_reclaimed: Bytes given back to the disk.
        bytes_reclaimable: Bytes that later runs can give back (deleted, but inside a window).
        uploads_expired: Uploads dropped because nobody went on with them.
        tags_deleted: Tags that no rule of retention kept.
        untagged_deleted: Manifests that were without a tag for longer than a rule allows.
        message: What went wrong, or a sentence about what was done.
    """

    id: str
    state: RunState
    dry_run: bool
    started_at: datetime
    finished_at: datetime | None = None
    duration_seconds: float = 0.0
    manifests_deleted: int = 0
    blobs_deleted: int = 0
    bytes_reclaimed: int = 0
    bytes_reclaimable: int = 0
    uploads_expired: int = 0
    tags_deleted: int = 0
    untagged_deleted: int = 0
    message: str = ""

    def summary(self) -> str:
        """What it has done, or a dry run would, in a sentence."""
        verb = "would delete" if self.dry_run else "deleted"
        gives = "would give back" if self.dry_run else "gave back"
        return (
            f"{verb} {self.manifests_deleted} manifests and {self.blobs_deleted} blobs, "
            f"{gives} {self.bytes_reclaimed} bytes{self._retained()}"
        )

    def _retained(self) -> str:
        if not self.tags_deleted and not self.untagged_deleted:
            return ""
        verb = "would take" if self.dry_run else "took"
        return (
            f"; retention {verb} {self.tags_deleted} tags"
            f" and {self.untagged_deleted} untagged manifests"
        )
