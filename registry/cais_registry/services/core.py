# SPDX-License-Identifier: Apache-2.0
"""Builds the services over one data folder; the app calls it once per worker."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cais_registry.model.errors import Unsupported
from cais_registry.model.limits import Limits
from cais_registry.model.policy import Policy
from cais_registry.services.blobs import Blobs
from cais_registry.services.changes import Changes
from cais_registry.services.checker import Checker
from cais_registry.services.collector import GarbageCollector
from cais_registry.services.failpoints import Failpoint, no_failpoint
from cais_registry.services.housekeeping import Housekeeping
from cais_registry.services.listings import Catalog, Referrers, Tags
from cais_registry.services.manifests import Manifests
from cais_registry.services.mirror import Mirror
from cais_registry.services.pressure import Pressure
from cais_registry.services.pulls import Pulls
from cais_registry.services.reaper import Reaper
from cais_registry.services.retention import Keeper
from cais_registry.services.undelete import Undelete
from cais_registry.services.uploads import Uploads
from cais_registry.services.usage import Usage
from cais_registry.stores.blobstore import BlobStore
from cais_registry.stores.database import Database, microseconds
from cais_registry.stores.file_store import FileStore
from cais_registry.stores.files import Files
from cais_registry.stores.layout import DATABASE, GC_LOCK, UnusableData, check_not_lost, make
from cais_registry.stores.snapshots import Snapshots
from cais_registry.stores.sqlite_database import SqliteDatabase

__all__ = ["Core", "Limits", "open_core"]

_LOG = logging.getLogger(__name__)
_THREADS: Final = 8


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

    def check_checkable(self) -> None:
        """The check of the store reads files: in a bucket it would find nothing, and believe it.

        Raises:
            Unsupported: If the bytes are not in files.
        """
        if self.store.space() is None:
            raise Unsupported("fsck checks files; the blobs of this server are in an object store")

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


async def open_core(  # noqa: PLR0913 - everything that a test turns
    data: Path,
    *,
    database_url: str | None = None,
    policy: Callable[[], Policy] = Policy,
    limits: Limits | None = None,
    clock: Callable[[], int] = microseconds,
    failpoint: Failpoint = no_failpoint,
    store: Callable[[Executor], BlobStore] | None = None,
) -> Core:
    """Open (or lay out) a data folder and build the services over it.

    Call it inside the running event loop of the worker. The volume's lock is the business of the
    caller (`cais_registry.stores.layout.lock`), taken before the workers start.

    Args:
        data: The folder; made when missing.
        database_url: How PostgreSQL is reached (libpq); None for SQLite in the folder.
        policy: Gives the times to keep to; asked anew at each use, so it may change.
        limits: What clients may push.
        clock: Gives microseconds since 1970.
        failpoint: Called before each step that makes something durable.
        store: Makes the store for the bytes of blobs; None for the files of the folder.

    Raises:
        UnusableData: If the folder cannot be used: a network file system, a newer schema, no
            permission, a damaged database. The message is one line for the person who starts it.
    """
    await asyncio.to_thread(make, data)
    database = await asyncio.to_thread(_open_database, data / DATABASE, database_url, clock)
    pool = ThreadPoolExecutor(_THREADS, "cais-io")
    blobs = FileStore(Files(data), pool) if store is None else store(pool)
    reaper = Reaper(database, blobs, failpoint)
    mirror = Mirror(database, blobs)
    limits = limits or Limits()
    usage = Usage(database, blobs, policy)
    changes = Changes(database, policy, usage.reclaimable)
    pulls = Pulls(database, policy, failpoint)
    await pulls.begin()
    return Core(
        blobs=Blobs(database, changes, blobs),
        uploads=Uploads(database, changes, blobs, limits, failpoint),
        manifests=Manifests(database, changes, mirror, limits, failpoint),
        tags=Tags(database),
        catalog=Catalog(database),
        referrers=Referrers(database),
        usage=usage,
        collector=GarbageCollector(
            database,
            reaper,
            Keeper(database, pulls, policy, failpoint),
            lock=data / GC_LOCK,
            policy=policy,
            failpoint=failpoint,
        ),
        checker=Checker(database, data, mirror, reaper),
        undelete=Undelete(database, changes, limits),
        pressure=Pressure(database, blobs, reaper, policy),
        housekeeping=Housekeeping(
            database,
            reaper,
            mirror,
            pulls,
            Snapshots(data / DATABASE) if database_url is None else None,
        ),
        policy=policy,
        pulls=pulls,
        database=database,
        pool=pool,
        mirror=mirror,
        store=blobs,
    )


def _open_database(path: Path, url: str | None, clock: Callable[[], int]) -> Database:
    if url is not None:
        from cais_registry.stores.postgresql_database import (  # noqa: PLC0415 - costs memory, often not needed
            PostgresDatabase,
        )

        return PostgresDatabase(url, clock)
    check_not_lost(path.parent)
    try:
        return SqliteDatabase.open(path, clock)
    except sqlite3.Error as error:
        raise UnusableData(
            f"the database {path} cannot be opened: {error};"
            f" `cais-registry fsck --rebuild --data {path.parent}` makes it anew"
        ) from error
