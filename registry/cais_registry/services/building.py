# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from cais_registry.model.limits import Limits
from cais_registry.model.policy import Policy
from cais_registry.services.blobs import Blobs
from cais_registry.services.changes import Changes
from cais_registry.services.checker import Checker
from cais_registry.services.collector import GarbageCollector
from cais_registry.services.failpoints import Failpoint
from cais_registry.services.housekeeping import Housekeeping
from cais_registry.services.listings import Catalog, Referrers, Tags
from cais_registry.services.manifests import Manifests
from cais_registry.services.mirror import Mirror
from cais_registry.services.opened import Core
from cais_registry.services.pressure import Pressure
from cais_registry.services.pulls import Pulls
from cais_registry.services.reaper import Reaper
from cais_registry.services.retention import Keeper
from cais_registry.services.undelete import Undelete
from cais_registry.services.uploads import Uploads
from cais_registry.services.usage import Usage
from cais_registry.stores.blobstore import BlobStore
from cais_registry.stores.database import Database
from cais_registry.stores.layout import DATABASE, GC_LOCK
from cais_registry.stores.snapshots import Snapshots


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What the services stand on.

    Attributes:
        data: The folder.
        database: The rows.
        store: The bytes of blobs.
        pool: Threads for what blocks.
        policy: Gives the times to keep to; asked anew at each use.
        limits: What clients may push.
        failpoint: Called before each step that makes something durable.
        takes_snapshots: Whether the database is in the folder, and is to be copied.
        holder: Name of this hold of the folder's lock.
    """

    data: Path
    database: Database
    store: BlobStore
    pool: ThreadPoolExecutor
    policy: Callable[[], Policy]
    limits: Limits
    failpoint: Failpoint
    takes_snapshots: bool
    holder: str | None


class Builder:
    """Makes every service, those that several share once."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        database, store, policy = ground.database, ground.store, ground.policy
        self._reaper = Reaper(database, store, ground.failpoint)
        self._mirror = Mirror(database, store)
        self._usage = Usage(database, store, policy)
        self._changes = Changes(database, policy, self._usage.reclaimable)
        alone = ground.holder if ground.takes_snapshots else None
        self._pulls = Pulls(database, policy, ground.failpoint, alone=alone)

    async def begin(self) -> Core:
        """Return all services, ready to serve; call it once."""
        await self._pulls.begin()
        return self._core()

    def _core(self) -> Core:
        ground, database, changes = self._ground, self._ground.database, self._changes
        store, limits, failpoint = ground.store, ground.limits, ground.failpoint
        return Core(
            blobs=Blobs(database, changes, store),
            uploads=Uploads(database, changes, store, limits, failpoint),
            manifests=Manifests(database, changes, self._mirror, limits, failpoint),
            tags=Tags(database),
            catalog=Catalog(database),
            referrers=Referrers(database),
            usage=self._usage,
            collector=self._collector(),
            checker=Checker(database, store, self._mirror, self._reaper),
            undelete=Undelete(database, changes, limits),
            pressure=Pressure(database, store, self._reaper, ground.policy),
            housekeeping=self._housekeeping(),
            policy=ground.policy,
            pulls=self._pulls,
            database=database,
            pool=ground.pool,
            mirror=self._mirror,
            store=store,
        )

    def _collector(self) -> GarbageCollector:
        ground = self._ground
        return GarbageCollector(
            ground.database,
            self._reaper,
            Keeper(ground.database, self._pulls, ground.policy, ground.failpoint),
            lock=ground.database.run_lock(ground.data / GC_LOCK),
            policy=ground.policy,
            failpoint=ground.failpoint,
        )

    def _housekeeping(self) -> Housekeeping:
        ground = self._ground
        snapshots = Snapshots(ground.data / DATABASE) if ground.takes_snapshots else None
        return Housekeeping(ground.database, self._reaper, self._mirror, self._pulls, snapshots)
