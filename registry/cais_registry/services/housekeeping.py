# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
import logging

from cais_registry.services.mirror import Mirror
from cais_registry.services.reaper import Reaper
from cais_registry.stores.database import Database

_LOG = logging.getLogger(__name__)


class Housekeeping:
    """What the server does by itself: drop expired uploads, catch up on copies of manifests."""

    def __init__(self, database: Database, reaper: Reaper, mirror: Mirror) -> None:
        self._database = database
        self._reaper = reaper
        self._mirror = mirror

    async def tick(self) -> None:
        """Do what is due now; cheap when nothing is."""
        await self._reaper.expire_uploads(self._database.now())
        await self._mirror.catch_up()

    async def serve(self, *, interval_seconds: float = 60.0) -> None:
        """Tick until cancelled; a failed tick is logged and the next one tries again."""
        while True:
            try:
                await self.tick()
            except Exception:  # noqa: BLE001 - the next tick tries again
                _LOG.exception("housekeeping failed, it will be tried again")
            await asyncio.sleep(interval_seconds)
