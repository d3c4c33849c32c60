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
from pathlib import Path

from cais_registry.cli.errors import CommandError
from cais_registry.cli.progress import shown, terms
from cais_registry.cli.usage import human
from cais_registry.config.errors import ConfigError
from cais_registry.model.errors import NameInvalid, StorageFull
from cais_registry.model.names import RepoName
from cais_registry.model.rebuilt import Rebuilt
from cais_registry.services.mirror import Mirror
from cais_registry.services.rebuilder import Rebuilder
from cais_registry.stores import layout, rebuilt_file
from cais_registry.stores.file_store import FileStore
from cais_registry.stores.files import Files
from cais_registry.stores.sqlite_database import SqliteDatabase

_THREADS = 4


def rebuild(options: argparse.Namespace) -> int:
    """Rebuild the database, report, and tell by the exit code whether all came back.

    Raises:
        ConfigError: If it cannot be done, or need not be; the database was not changed.
        CommandError: If it failed on the way; the database was not changed.
    """
    if options.data is None or options.repair or options.digests:
        raise ConfigError("--rebuild goes with --data of a stopped server only")
    data = Path(options.data).absolute()
    if not any((data / name).is_dir() for name in ("blobs", "snapshots")):
        raise ConfigError(f"--data {data}: there is nothing of a registry in it")
    try:
        adopt = None if options.orphans_to is None else RepoName.parse(options.orphans_to)
        lock = layout.lock(data)
    except (NameInvalid, layout.UnusableData) as error:
        raise ConfigError(str(error)) from error
    done = Rebuilt()
    try:
        _work(data, adopt, done, is_forced=options.force)
    finally:
        os.close(lock)
    print(json.dumps(terms(done)) if options.output == "json" else _lines(done))
    return 1 if done.left else 0


def _work(data: Path, adopt: RepoName | None, done: Rebuilt, *, is_forced: bool) -> None:
    try:
        _check_damaged(data, is_forced=is_forced)
        begun = rebuilt_file.begin(data)
        done.snapshot = begun.snapshot
        for unreadable in begun.unreadable:
            done.notes.append(f"snapshot {unreadable}")
        asyncio.run(_rebuild(begun.path, data, adopt, done))
        moved = rebuilt_file.finish(data, time.time_ns() // 1000)
    except layout.UnusableData as error:
        raise ConfigError(str(error)) from error
    except (OSError, sqlite3.Error, StorageFull) as error:
        raise CommandError(f"the rebuild failed, start it again: {error}") from error
    done.moved = None if moved is None else str(moved)


def _check_damaged(data: Path, *, is_forced: bool) -> None:
    database = data / layout.DATABASE
    if not is_forced and rebuilt_file.damage(database) is None:
        raise ConfigError(
            f"the database {database} is not damaged: a rebuild would take its tags back to the"
            " last snapshot. `--force` does it all the same"
        )


async def _rebuild(path: Path, data: Path, adopt: RepoName | None, done: Rebuilt) -> None:
    database = await asyncio.to_thread(SqliteDatabase.open, path)
    pool = ThreadPoolExecutor(_THREADS, "cais-io")
    try:
        async with shown(lambda: describe(done)):
            mirror = Mirror(database, FileStore(Files(data), pool))
            await Rebuilder(database, data, mirror).run(done, adopt)
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


def _lines(done: Rebuilt) -> str:
    begun = (
        "there is no snapshot that can be read: nothing has a tag"
        if done.snapshot is None
        else f"tags are those of {done.snapshot}"
    )
    more = done.left - len(done.problems)
    rest = [f"LEFT      ... and {more} more"] if more else []
    moved = [] if done.moved is None else [f"the old database is now {done.moved}"]
    return "\n".join(
        [
            *(f"          {note}" for note in done.notes),
            *(f"LEFT      {problem}" for problem in done.problems),
            *rest,
            *moved,
            f"{begun}; {describe(done)}",
        ]
    )
