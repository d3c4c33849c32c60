# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

from cais_registry.model.errors import StorageFull
from cais_registry.services.mirror import Mirror
from cais_registry.services.pulls import Pulls
from cais_registry.services.reaper import Reaper
from cais_registry.stores.database import Database
from cais_registry.stores.snapshots import Snapshots

_LOG = logging.getLogger(__name__)


class Housekeeping:
    """What the server does by itself: expired uploads, copies of manifests and database, pulls."""

    def __init__(
        self,
        database: Database,
        reaper: Reaper,
        mirror: Mirror,
        pulls: Pulls,
        snapshots: Snapshots | None,
    ) -> None:
        """Prepare.

        Args:
            database: The rows.
            reaper: Drops what expired.
            mirror: Writes copies of manifests.
            pulls: Counts pulls.
            snapshots: Copies the database; None where that is somebody else's business.
        """
        self._database = database
        self._snapshots = snapshots
        self._reaper = reaper
        self._mirror = mirror
        self._pulls = pulls

    @property
    def snapshot_at(self) -> float | None:
        """When the newest snapshot of the database was taken, in seconds since 1970, if any."""
        return None if self._snapshots is None else self._snapshots.newest

    async def tick(self) -> None:
        """Do what is due now; cheap when nothing is."""
        await self._reaper.expire_uploads(self._database.now())
        while await self._mirror.catch_up():
            pass
        with suppress(StorageFull):  # they are remembered until there is room
            await self._pulls.tick()
        if self._snapshots is not None:
            await self._snapshot(self._snapshots)

    async def _snapshot(self, snapshots: Snapshots) -> None:
        try:
            await asyncio.to_thread(snapshots.take, self._database.now())
        except OSError as error:
            _LOG.warning("no snapshot of the database was taken: %s", error)

    async def serve(self, *, interval_seconds: float = 60.0) -> None:
        """Tick until cancelled; a failed tick is logged and the next one tries again."""
        while True:
            try:
                await self.tick()
            except Exception:  # noqa: BLE001 - the next tick tries again
                _LOG.exception("housekeeping failed, it will be tried again")
            await asyncio.sleep(interval_seconds)
