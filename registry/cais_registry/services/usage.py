# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
from collections.abc import Callable
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
from cais_registry.stores.listing_rows import totals
from cais_registry.stores.run_rows import last_run
from cais_registry.stores.tombstone_rows import waiting_bytes
from cais_registry.stores.usage_rows import stored_bytes

_FRESH_MICROSECONDS: Final = 5_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageReport:
    """What the registry holds.

    Attributes:
        repositories: That hold a manifest.
        tags: In all of them.
        bytes: Of all blobs, each counted once, and of all manifests.
        quota: Most that `bytes` may be; None for no limit.
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
    quota: int | None = None


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
    """Counts what the registry holds; anew every few seconds at most, and after a collection."""

    def __init__(self, database: Database, store: BlobStore, policy: Callable[[], Policy]) -> None:
        self._database = database
        self._store = store
        self._policy = policy
        self._last: tuple[int, str | None, UsageReport] | None = None
        self._counting: asyncio.Task[UsageReport] | None = None

    async def report(self) -> UsageReport:
        """Count; whoever asks while that goes on gets the same answer. `bytes` is exact now."""
        if self._counting is None or self._counting.done():
            self._counting = asyncio.create_task(self._report(), name="usage")
        report = await asyncio.shield(self._counting)
        stored = await self._database.read(stored_bytes)
        return replace(report, bytes=stored, quota=self._policy().quota)

    async def reclaimable(self) -> int:
        """Bytes that garbage collection can give back, now or after a window."""
        return (await self.report()).bytes_reclaimable

    async def _report(self) -> UsageReport:
        now = self._database.now()
        run = await self._database.read(partial(last_run, succeeded=False))
        ended = run.id if run else None
        last = self._last
        if last is None or now - last[0] > _FRESH_MICROSECONDS or last[1] != ended:
            report = await self._database.read_slowly(self._count)
            last = self._last = (self._database.now(), ended, report)
        return last[2]

    def _count(self, connection: Connection) -> UsageReport:
        repositories, tags = totals(connection)
        space = self._store.space() or Space(0, 0)
        return UsageReport(
            repositories=repositories,
            tags=tags,
            bytes=stored_bytes(connection),
            bytes_reclaimable=reclaimable(connection, self._policy()),
            disk_capacity=space.capacity,
            disk_available=space.available,
        )
