# SPDX-License-Identifier: Apache-2.0
"""`cais-registry fsck --rebuild`."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from cais_registry.cli import places
from cais_registry.cli.errors import CommandError
from cais_registry.cli.places import Place
from cais_registry.cli.progress import shown, terms
from cais_registry.cli.usage import human
from cais_registry.config.errors import ConfigError
from cais_registry.model.errors import NameInvalid, StorageFull, StorageUnavailable, Unavailable
from cais_registry.model.names import RepoName
from cais_registry.model.rebuilt import Rebuilt
from cais_registry.services.mirror import Mirror
from cais_registry.services.rebuild_check import check
from cais_registry.services.rebuilder import Rebuilder
from cais_registry.stores import layout, rebuilt_file
from cais_registry.stores.database import Database
from cais_registry.stores.file_store import FileStore
from cais_registry.stores.files import Files
from cais_registry.stores.sqlite_database import SqliteDatabase

_THREADS = 4


def rebuild(options: argparse.Namespace) -> int:
    """Rebuild the database, report, and tell by the exit code whether all came back.

    Raises:
        ConfigError: If it cannot be done, or need not be; the database was not changed.
        CommandError: If it failed on the way; it can be started again.
    """
    place = _place(options)
    done = Rebuilt()
    try:
        adopt = None if options.orphans_to is None else RepoName.parse(options.orphans_to)
        lock = None if place.is_shared else layout.lock(place.data)
    except (NameInvalid, layout.UnusableData) as error:
        raise ConfigError(str(error)) from error
    try:
        _work(_Wanted(place=place, adopt=adopt, is_forced=options.force), done)
    finally:
        if lock is not None:
            os.close(lock)
    print(json.dumps(terms(done)) if options.output == "json" else _lines(done, place))
    return 1 if done.left else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    """What is to be done.

    Attributes:
        place: Where.
        adopt: Repository for manifests whose copies do not say which one they are of.
        is_forced: Whether also where that looks like a mistake.
    """

    place: Place
    adopt: RepoName | None
    is_forced: bool


def _place(options: argparse.Namespace) -> Place:
    is_one = (options.data is None) != (options.config is None) and options.server is None
    if not is_one or options.repair or options.digests:
        raise ConfigError(
            "--rebuild goes with --data of a stopped server, or --config of stopped ones over a"
            " bucket or PostgreSQL, and with neither --repair nor --digests"
        )
    place = places.named(options)
    known = any((place.data / name).is_dir() for name in ("blobs", "snapshots"))
    if place.store is None and not known:
        raise ConfigError(f"--data {place.data}: there is nothing of a registry in it")
    return place


def _work(wanted: _Wanted, done: Rebuilt) -> None:
    try:
        if wanted.place.database_url is None:
            _make_anew(wanted, done)
        else:
            asyncio.run(_complete(wanted.place.database_url, wanted, done))
    except layout.UnusableData as error:
        raise ConfigError(str(error)) from error
    except (OSError, sqlite3.Error, StorageFull, StorageUnavailable, Unavailable) as error:
        raise CommandError(f"the rebuild failed, start it again: {error}") from error


def _make_anew(wanted: _Wanted, done: Rebuilt) -> None:
    """SQLite: a new file is made of the newest snapshot, and takes the old one's place."""
    data = wanted.place.data
    database = data / layout.DATABASE
    if not wanted.is_forced and rebuilt_file.damage(database) is None:
        raise ConfigError(
            f"the database {database} is not damaged: a rebuild would take its tags back to the"
            " last snapshot. `--force` does it all the same"
        )
    begun = rebuilt_file.begin(data)
    done.snapshot = begun.snapshot
    for unreadable in begun.unreadable:
        done.notes.append(f"snapshot {unreadable}")
    opened = SqliteDatabase.open(begun.path)
    is_known = begun.snapshot is not None or database.exists()
    asyncio.run(_add_what_is_stored(opened, wanted, done, may_be_empty=is_known))
    moved = rebuilt_file.finish(data, time.time_ns() // 1000)
    done.moved = None if moved is None else str(moved)


async def _complete(url: str, wanted: _Wanted, done: Rebuilt) -> None:
    """PostgreSQL: what is not in the database is added to it, while no server uses it."""
    from cais_registry.stores.postgresql_database import (  # noqa: PLC0415 - costs memory, often not needed
        PostgresDatabase,
    )

    database = await asyncio.to_thread(PostgresDatabase, url, is_alone=True)
    await _add_what_is_stored(database, wanted, done, may_be_empty=False)


async def _add_what_is_stored(
    database: Database, wanted: _Wanted, done: Rebuilt, *, may_be_empty: bool
) -> None:
    """Complete a database, which is closed in the end."""
    place = wanted.place
    pool = ThreadPoolExecutor(_THREADS, "cais-io")
    try:
        store = FileStore(Files(place.data), pool) if place.store is None else place.store(pool)
        await check(
            database, store, place.bytes_in, may_be_empty=may_be_empty, is_forced=wanted.is_forced
        )
        async with shown(lambda: describe(done)):
            await Rebuilder(database, store, Mirror(database, store)).run(done, wanted.adopt)
    finally:
        pool.shutdown()
        database.close()


def describe(done: Rebuilt) -> str:
    """The result in one line."""
    return (
        f"{done.manifests_kept} manifests kept and {done.manifests_found} found,"
        f" {done.blobs_kept} blobs kept and {done.blobs_found} found ({human(done.bytes_read)}"
        f" hashed), {done.gone} collected since, {done.left} left to do"
    )


def _lines(done: Rebuilt, place: Place) -> str:
    more = done.left - len(done.problems)
    rest = [f"LEFT      ... and {more} more"] if more else []
    moved = [] if done.moved is None else [f"the old database is now {done.moved}"]
    return "\n".join(
        [
            *(f"          {note}" for note in done.notes),
            *(f"LEFT      {problem}" for problem in done.problems),
            *rest,
            *moved,
            f"{_tags(done, place)}; {describe(done)}",
        ]
    )


def _tags(done: Rebuilt, place: Place) -> str:
    if place.database_url is not None:
        return "tags are those that the database had"
    if done.snapshot is None:
        return "there is no snapshot that can be read: nothing has a tag"
    return f"tags are those of {done.snapshot}"
