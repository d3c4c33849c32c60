# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
import logging

from cais_registry.services.mirror import Mirror
from cais_registry.services.reaper import Reaper
from cais_registry.stores.database import Database
from cais_registry.stores.snapshots import Snapshots

_LOG = logging.getLogger(__name__)


class Housekeeping:
    """What the server does by itself: drop expired uploads, copy manifests and the database."""

    def __init__(
        self, database: Database, reaper: Reaper, mirror: Mirror, snapshots: Snapshots | None
    ) -> None:
        """Prepare.

        Args:
            database: The rows.
            reaper: Drops what expired.
            mirror: Writes copies of manifests.
            snapshots: Copies the database; None where that is somebody else's business.
        """
        self._database = database
        self._snapshots = snapshots
        self._reaper = reaper
        self._mirror = mirror

    async def tick(self) -> None:
        """Do what is due now; cheap when nothing is."""
        await self._reaper.expire_uploads(self._database.now())
        while await self._mirror.catch_up():
            pass
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
