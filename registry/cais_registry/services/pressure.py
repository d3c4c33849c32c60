# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Final

from cais_registry.model.policy import Policy
from cais_registry.model.space import Space
from cais_registry.services.reaper import Reaper
from cais_registry.stores.blobstore import BlobStore
from cais_registry.stores.database import Database
from cais_registry.stores.gc_queue import Kind, Times, oldest_deletions
from cais_registry.stores.gc_review import review_batch

_LOG = logging.getLogger(__name__)
_BATCH: Final = 100
"""Entries in one transaction; a push waits for no longer than it takes."""
_AT_ONCE: Final = 20
"""Deletions whose window is cut short before the room is looked at again."""
_UNITS: Final = 1 << 20


class Pressure:
    """Makes room when the disk gets full, out of schedule and beside pushes and pulls.

    What is garbage already goes first. If pushes would be refused all the same, deleted things go
    before their window is over, the oldest first, until there is room. What somebody was promised
    (`push_lease`), and what was not deleted, is never touched. It keeps out of nobody's way: a
    review decides and acts in one transaction, so a collection may run at the same time.
    """

    def __init__(
        self, database: Database, store: BlobStore, reaper: Reaper, policy: Callable[[], Policy]
    ) -> None:
        self._database = database
        self._store = store
        self._reaper = reaper
        self._policy = policy
        self._is_on = False

    def look(self) -> bool:
        """Tell whether the disk is getting full; True until there is ample room again."""
        space = self._store.space()
        was_on = self._is_on
        if space is not None:
            self._is_on = space.is_low or (was_on and not space.is_ample)
        if space is not None and self._is_on != was_on:
            _report(space, is_on=self._is_on)
        return self._is_on

    async def tick(self) -> None:
        """Make room if it is needed; cheap when it is not."""
        if not self.look():
            return
        await self._collect(self._times())
        while self._is_scarce():
            since = await self._database.read_slowly(partial(oldest_deletions, limit=_AT_ONCE))
            if since is None:
                return
            before, times = self._available(), self._times()
            window = max(0, times.now - since)
            if not await self._collect(replace(times, window=window)):
                return  # they were deleted in the future: the clock was set back since
            freed = self._available() - before
            _LOG.warning(
                "the disk is nearly full: things deleted longest ago went before their undelete "
                "window was over, %d MiB came back",
                freed // _UNITS,
            )

    async def serve(self, *, interval_seconds: float = 5.0) -> None:
        """Tick until cancelled; a failed tick is logged and the next one tries again."""
        while True:
            try:
                await self.tick()
            except Exception:  # noqa: BLE001 - the next tick tries again
                _LOG.exception("no room could be made, it will be tried again")
            await asyncio.sleep(interval_seconds)

    async def _collect(self, times: Times) -> int:
        """Review what is due and delete its bytes; returns how many entries were looked at."""
        count = 0
        for kind in (Kind.MANIFEST, Kind.MEMBER, Kind.BYTES):
            review = partial(review_batch, kind=kind, times=times, limit=_BATCH)
            while looked := (await self._database.write(review))[0]:
                count += looked
        await self._reaper.reap()
        return count

    def _times(self) -> Times:
        return Times.of(self._database.now(), self._policy())

    def _is_scarce(self) -> bool:
        space = self._store.space()
        return space is not None and space.is_scarce

    def _available(self) -> int:
        space = self._store.space()
        return 0 if space is None else space.available


def _report(space: Space, *, is_on: bool) -> None:
    free, size = space.available // _UNITS, space.capacity // _UNITS
    if is_on:
        _LOG.warning(
            "the disk is getting full: %d of %d MiB are free; pushes are refused below %d MiB",
            *(free, size, space.reserve // _UNITS),
        )
    else:
        _LOG.info("the disk has ample room again: %d of %d MiB are free", free, size)
