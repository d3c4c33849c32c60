# SPDX-License-Identifier: Apache-2.0
"""What the admin API takes and answers; `openapi` describes exactly these types."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, TypeAlias

import msgspec
from msgspec import Meta

from cais_registry.model.check import Check, CheckState, Kind
from cais_registry.model.run import Run, RunState
from cais_registry.model.space import Space
from cais_registry.services.usage import UsageReport

Count: TypeAlias = Annotated[int, Meta(ge=0)]
Time: TypeAlias = Annotated[
    str, Meta(extra_json_schema={"format": "date-time"}, description="RFC 3339, in UTC.")
]


class View(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Base of every answer."""


class Wish(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Base of every body that is taken: what is not known is refused."""


class StartGc(Wish, frozen=True):
    """What a garbage collection should do; `dryRun` counts and changes nothing."""

    dry_run: bool = False


class StartCheck(Wish, frozen=True):
    """What a check should do: repair what is safe to repair, read and hash all bytes of blobs."""

    repair: bool = False
    digests: bool = False


class RunView(View, frozen=True):
    """A garbage collection; a dry run tells what would be done."""

    id: str
    state: RunState
    dry_run: bool
    started_at: Time
    finished_at: Time | None
    duration_seconds: Annotated[float, Meta(ge=0)]
    manifests_deleted: Count
    blobs_deleted: Count
    bytes_reclaimed: Count
    bytes_reclaimable: Annotated[int, Meta(ge=0, description="By later runs.")]
    uploads_expired: Count
    tags_deleted: Annotated[int, Meta(ge=0, description="By rules of retention.")]
    untagged_deleted: Annotated[int, Meta(ge=0, description="Manifests, by rules of retention.")]
    message: str


class Runs(View, frozen=True):
    """The garbage collection that goes on, the last one that ended, the last one that succeeded.

    Dry runs are told by `lastDryRun` only.
    """

    current: RunView | None
    last: RunView | None
    last_success: RunView | None
    last_dry_run: RunView | None


class FindingView(View, frozen=True):
    """One thing that is wrong."""

    kind: Kind
    where: str
    message: str
    repaired: bool


class CheckView(View, frozen=True):
    """A check of the store: what was looked at, how many things are wrong, the first of them."""

    state: CheckState
    blobs: Count
    manifests: Count
    files: Count
    bytes_read: Count
    found: Annotated[dict[str, Count], Meta(description="How many of each kind.")]
    left: Annotated[int, Meta(ge=0, description="How many are not repaired.")]
    findings: tuple[FindingView, ...]


class Disk(View, frozen=True):
    """The file system, in bytes; 0 where blobs are in an object store."""

    capacity: Count
    available: Count
    reserve: Annotated[int, Meta(ge=0, description="Pushes are refused rather than use it.")]


class Quota(View, frozen=True):
    """Bytes that are used, and the most that may be."""

    used: Count
    limit: Count | None


class UsageView(View, frozen=True):
    """What the registry holds; counted anew every few seconds at most."""

    repositories: Count
    tags: Count
    bytes: Annotated[int, Meta(ge=0, description="Of blobs, each once, and of manifests.")]
    quota: Quota
    bytes_reclaimable: Count
    disk: Disk
    storage_pressure: Annotated[bool, Meta(description="Whether the disk is getting full.")]


class RetentionView(View, frozen=True):
    """Rules of retention that cannot be read; they keep everything."""

    problems: tuple[str, ...]


class ConfigView(View, frozen=True):
    """Version of the program, SHA-256 of each file as loaded, why newer content was not taken."""

    version: str
    files: dict[str, str]
    error: str | None
    retention: RetentionView


def run_view(run: Run) -> RunView:
    """Tell about a garbage collection."""
    return RunView(
        id=run.id,
        state=run.state,
        dry_run=run.dry_run,
        started_at=time_text(run.started_at),
        finished_at=None if run.finished_at is None else time_text(run.finished_at),
        duration_seconds=round(run.duration_seconds, 3),
        manifests_deleted=run.manifests_deleted,
        blobs_deleted=run.blobs_deleted,
        bytes_reclaimed=run.bytes_reclaimed,
        bytes_reclaimable=run.bytes_reclaimable,
        uploads_expired=run.uploads_expired,
        tags_deleted=run.tags_deleted,
        untagged_deleted=run.untagged_deleted,
        message=run.message,
    )


def check_view(check: Check) -> CheckView:
    """Tell about a check of the store."""
    return CheckView(
        state=check.state,
        blobs=check.blobs,
        manifests=check.manifests,
        files=check.files,
        bytes_read=check.bytes_read,
        found={kind.value: number for kind, number in sorted(check.found.items())},
        left=check.left,
        findings=tuple(
            FindingView(
                kind=finding.kind,
                where=finding.where,
                message=finding.message,
                repaired=finding.is_repaired,
            )
            for finding in check.findings
        ),
    )


def usage_view(usage: UsageReport, *, is_low: bool) -> UsageView:
    """Tell what the registry holds, and whether its disk is getting full."""
    return UsageView(
        repositories=usage.repositories,
        tags=usage.tags,
        bytes=usage.bytes,
        quota=Quota(used=usage.bytes, limit=usage.quota),
        bytes_reclaimable=usage.bytes_reclaimable,
        disk=Disk(
            capacity=usage.disk_capacity,
            available=usage.disk_available,
            reserve=Space(usage.disk_capacity, usage.disk_available).reserve,
        ),
        storage_pressure=is_low,
    )


def time_text(moment: datetime) -> str:
    """A moment in RFC 3339, in UTC, to the second."""
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
