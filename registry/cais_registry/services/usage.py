# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from cais_registry.model.policy import Policy
from cais_registry.model.space import Space
from cais_registry.stores.blobstore import BlobStore
from cais_registry.stores.connection import Connection
from cais_registry.stores.database import Database
from cais_registry.stores.gc_queue import Times
from cais_registry.stores.gc_review import rehearse
from cais_registry.stores.run_rows import last_run
from cais_registry.stores.tombstone_rows import waiting_bytes
from cais_registry.stores.total_rows import Totals, totals
from cais_registry.stores.usage_rows import stored_bytes

_FRESH_MICROSECONDS: Final = 5_000_000
_RECENT_MICROSECONDS: Final = 60_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageReport:
    """What the registry holds.

    Attributes:
        counted_at: When that was counted, in microseconds since 1970.
        repositories: That hold a manifest.
        tags: In all of them.
        blobs: Each counted once.
        uploads: That go on, or were left.
        bytes_reclaimable: Bytes that garbage collection can give back, now or after a window.
        bytes: Of all blobs, each counted once, and of all manifests.
        quota: Most that `bytes` may be; None for no limit.
        disk_capacity: Bytes of the file system, 0 where blobs are not in files.
        disk_available: Bytes that the server may still write.
    """

    counted_at: int
    repositories: int
    tags: int
    blobs: int
    uploads: int
    bytes_reclaimable: int
    bytes: int = 0
    quota: int | None = None
    disk_capacity: int = 0
    disk_available: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Counted:
    version: Hashable | None
    policy: Policy
    run: str | None
    report: UsageReport


def reclaimable(connection: Connection, policy: Policy, *, run_id: str | None = None) -> int:
    """Bytes that can be given back as things stand, once all leases and windows have passed.

    Args:
        connection: A snapshot.
        policy: What counts now.
        run_id: A dry run: as things would stand after a run like it.
    """
    found = rehearse(connection, Times.end(policy), run_id=run_id)
    return found.bytes + waiting_bytes(connection)


class Usage:
    """Counts what the registry holds; anew only when something was written since.

    Even then every few seconds at most, and after a collection: counting a large registry takes
    longer than anybody who asks often should cost.
    """

    def __init__(self, database: Database, store: BlobStore, policy: Callable[[], Policy]) -> None:
        self._database = database
        self._store = store
        self._policy = policy
        self._last: _Counted | None = None
        self._counting: asyncio.Task[UsageReport] | None = None

    async def report(self) -> UsageReport:
        """Count; whoever asks while that goes on gets the same answer. `bytes` is exact now."""
        return await self._of_now(await asyncio.shield(self._count()))

    async def reclaimable(self) -> int:
        """Bytes that garbage collection can give back, now or after a window."""
        return (await self.report()).bytes_reclaimable

    async def recent(self) -> UsageReport:
        """What is known, without waiting; counted anew, for whoever asks next, after a minute.

        The first one who asks has to wait.
        """
        last = self._last
        if last is None:
            return await self.report()
        if self._database.now() - last.report.counted_at > _RECENT_MICROSECONDS:
            self._count().add_done_callback(_retrieve)
        return await self._of_now(last.report)

    async def _of_now(self, report: UsageReport) -> UsageReport:
        """Add what is known at any time."""
        stored = await self._database.read(stored_bytes)
        space = await asyncio.to_thread(self._store.space) or Space(0, 0)
        return replace(
            report,
            bytes=stored,
            quota=self._policy().quota,
            disk_capacity=space.capacity,
            disk_available=space.available,
        )

    def _count(self) -> asyncio.Task[UsageReport]:
        if self._counting is None or self._counting.done():
            self._counting = asyncio.create_task(self._report(), name="usage")
        return self._counting

    async def _report(self) -> UsageReport:
        last, policy, version = self._last, self._policy(), await self._database.version()
        if last is not None and version is not None and _is_true(last, version, policy):
            report = replace(last.report, counted_at=self._database.now())
            self._last = replace(last, report=report)  # nothing was written, so it is still true
            return report
        run = await self._database.read(partial(last_run, succeeded=False))
        ended = run.id if run else None
        if last is not None and last.run == ended and self._is_fresh(last.report):
            return last.report
        found, waiting = await self._database.read_slowly(partial(_totals, policy))
        report = _make(found, waiting, self._database.now())
        self._last = _Counted(version=version, policy=policy, run=ended, report=report)
        return report

    def _is_fresh(self, report: UsageReport) -> bool:
        return self._database.now() - report.counted_at <= _FRESH_MICROSECONDS


def _is_true(last: _Counted, version: Hashable, policy: Policy) -> bool:
    return (last.version, last.policy) == (version, policy)


def _totals(policy: Policy, connection: Connection) -> tuple[Totals, int]:
    return totals(connection), reclaimable(connection, policy)


def _make(found: Totals, waiting: int, now: int) -> UsageReport:
    return UsageReport(
        counted_at=now,
        repositories=found.repositories,
        tags=found.tags,
        blobs=found.blobs,
        uploads=found.uploads,
        bytes_reclaimable=waiting,
    )


def _retrieve(task: asyncio.Task[UsageReport]) -> None:
    """A count that failed is tried again; nobody waits for this one."""
    if not task.cancelled():
        task.exception()
