# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

from cais_registry.model.policy import Policy
from cais_registry.services.blobs import Blobs
from cais_registry.services.checker import Checker
from cais_registry.services.collector import GarbageCollector
from cais_registry.services.housekeeping import Housekeeping
from cais_registry.services.listings import Catalog, Referrers, Tags
from cais_registry.services.manifests import Manifests
from cais_registry.services.mirror import Mirror
from cais_registry.services.pressure import Pressure
from cais_registry.services.pulls import Pulls
from cais_registry.services.undelete import Undelete
from cais_registry.services.uploads import Uploads
from cais_registry.services.usage import Usage
from cais_registry.stores.blobstore import BlobStore
from cais_registry.stores.database import Database

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Core:
    """All services of one open data folder."""

    blobs: Blobs
    uploads: Uploads
    manifests: Manifests
    tags: Tags
    catalog: Catalog
    referrers: Referrers
    usage: Usage
    collector: GarbageCollector
    checker: Checker
    undelete: Undelete
    pressure: Pressure
    housekeeping: Housekeeping
    policy: Callable[[], Policy]
    pulls: Pulls

    database: Database
    pool: ThreadPoolExecutor
    mirror: Mirror
    store: BlobStore

    async def ready(self) -> bool:
        """Tell whether reads are served: the database and the object store, if any, answer."""
        try:
            await self.database.read(lambda connection: connection.execute("SELECT 1 AS one"))
            await self.store.check()
        except Exception:  # noqa: BLE001 - whatever it is, it is no answer
            _LOG.exception("the database or the object store does not answer")
            return False
        return True

    async def close(self) -> None:
        """Stop background work and close the database; a run that goes is marked Failed."""
        await self.checker.stop()
        await self.collector.stop()
        with suppress(Exception):  # what is lost so counts as pulled when it is noticed
            await self.pulls.close()
        with suppress(Exception):  # noted again when the folder is opened next time
            await self.mirror.note()
        self.pool.shutdown()
        self.database.close()
