# SPDX-License-Identifier: Apache-2.0
"""Opens one data folder with the services over it; the app calls it once per worker."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from cais_registry.model.limits import Limits
from cais_registry.model.policy import Policy
from cais_registry.services.building import Builder, Ground
from cais_registry.services.failpoints import Failpoint, no_failpoint
from cais_registry.services.opened import Core
from cais_registry.stores.blobstore import MakeStore
from cais_registry.stores.commits import Hold
from cais_registry.stores.database import Database, microseconds
from cais_registry.stores.file_store import FileStore
from cais_registry.stores.files import Files
from cais_registry.stores.layout import DATABASE, UnusableData, check_not_lost, make
from cais_registry.stores.sqlite_database import SqliteDatabase

__all__ = ["Core", "Limits", "open_core"]

_THREADS: Final = 8


async def open_core(  # noqa: PLR0913 - everything that a test turns
    data: Path,
    *,
    database_url: str | None = None,
    policy: Callable[[], Policy] = Policy,
    limits: Limits | None = None,
    clock: Callable[[], int] = microseconds,
    failpoint: Failpoint = no_failpoint,
    store: MakeStore | None = None,
    hold: Hold | None = None,
) -> Core:
    """Open (or lay out) a data folder, whose lock the caller has, and build the services over it.

    Args:
        data: The folder; made when missing.
        database_url: How PostgreSQL is reached (libpq); None for SQLite in the folder.
        policy: Gives the times to keep to; asked anew at each use.
        limits: What clients may push.
        clock: Gives microseconds since 1970.
        failpoint: Called before each step that makes something durable.
        store: Makes the store for the bytes of blobs; None for the files of the folder.
        hold: Whoever has the lock; None: others may write, too, and no pulls are counted.

    Raises:
        UnusableData: If the folder cannot be used; one line for the person who starts it.
    """
    database = await asyncio.to_thread(_open_database, data, database_url, clock, hold, store)
    pool = ThreadPoolExecutor(_THREADS, "cais-io")
    ground = Ground(
        data=data,
        database=database,
        store=FileStore(Files(data), pool) if store is None else store(pool),
        pool=pool,
        policy=policy,
        limits=limits or Limits(),
        failpoint=failpoint,
        takes_snapshots=database_url is None,
        holder=None if hold is None else hold.name,
    )
    return await Builder(ground).begin()


def _open_database(
    data: Path,
    url: str | None,
    clock: Callable[[], int],
    hold: Hold | None,
    store: MakeStore | None,
) -> Database:
    make(data)
    if url is not None:
        from cais_registry.stores.postgresql_database import (  # noqa: PLC0415 - costs memory, often not needed
            PostgresDatabase,
        )

        return PostgresDatabase(url, clock)
    rebuild = f"cais-registry fsck --rebuild {'--config FILE' if store else f'--data {data}'}"
    check_not_lost(data, rebuild)
    path = data / DATABASE
    try:
        return SqliteDatabase.open(path, clock, None if hold is None else hold.commits)
    except sqlite3.Error as error:
        raise UnusableData(
            f"the database {path} cannot be opened: {error}; `{rebuild}` makes it anew"
        ) from error
