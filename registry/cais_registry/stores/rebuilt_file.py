# SPDX-License-Identifier: Apache-2.0
"""The file of a database that is rebuilt: made beside the damaged one, then put in its place."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cais_registry.stores import sqlite
from cais_registry.stores.check_files import ASIDE
from cais_registry.stores.folders import sync_folder
from cais_registry.stores.layout import DATABASE
from cais_registry.stores.migrate import migrate
from cais_registry.stores.schema import SchemaUnknown
from cais_registry.stores.snapshots import Snapshots

NAME: Final = "metadata.rebuilt.sqlite3"
_BESIDE: Final = ("", "-wal", "-shm", "-journal")
_MOST_WORDS: Final = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """What a rebuild begins with.

    Attributes:
        path: The new database.
        snapshot: Name of the snapshot that it is a copy of; None if no snapshot can be read.
        unreadable: Newer snapshots that cannot be read, or are of newer programs; why.
    """

    path: Path
    snapshot: str | None
    unreadable: tuple[str, ...]


def damage(database: Path) -> str | None:
    """Say what is wrong with a database that nobody uses; None if nothing is."""
    try:
        if database.stat().st_size == 0:
            return "is empty"
    except FileNotFoundError:
        return "is not there"
    found = sqlite.faults(database)
    if found:
        return f"is damaged: {'; '.join(found)[:_MOST_WORDS]}"
    with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as connection:
        if connection.execute("PRAGMA user_version").fetchone()[0] == 0:
            return "is not the database of a registry"
    return None


def begin(data: Path) -> Begun:
    """Make the new database, from the newest snapshot that can be read.

    Raises:
        SchemaUnknown: If there are only snapshots of newer versions of the program.
        OSError: If there is no room, say.
    """
    path = data / NAME
    unreadable: list[str] = []
    newer: SchemaUnknown | None = None
    for snapshot in reversed(Snapshots(data / DATABASE).all()):
        _remove(path)
        shutil.copyfile(snapshot, path)
        wrong = damage(path)
        if wrong is None:
            try:
                migrate(path, keeps_copy=False)
            except SchemaUnknown as error:
                newer, wrong = error, "is of a newer version"
            else:
                return Begun(path=path, snapshot=snapshot.name, unreadable=tuple(unreadable))
        unreadable.append(f"{snapshot.name} {wrong}")
    _remove(path)
    if newer is not None:  # its tags are worth more than a database without any
        raise newer
    return Begun(path=path, snapshot=None, unreadable=tuple(unreadable))


def _remove(path: Path) -> None:
    """What an earlier rebuild has left, when it was cut off."""
    for end in _BESIDE:
        path.with_name(path.name + end).unlink(missing_ok=True)


def finish(data: Path, now: int) -> Path | None:
    """Move the old database aside and put the new one, closed by now, in its place, durably.

    Between the two steps there is no database: then no server starts (`layout.check_not_lost`),
    and the rebuild can be run again.

    Args:
        data: The data folder.
        now: Microseconds since 1970, for the name of what is moved aside.

    Returns:
        Where the old one is now; None if there was none.

    Raises:
        OSError: If the new one is not whole: on a full disk SQLite closes it, leaves what was
            written in a log beside it, and says nothing. Nothing was moved then.
    """
    new = data / NAME
    if new.with_name(f"{NAME}-wal").exists():
        raise OSError(errno.ENOSPC, "there is no room to complete the new database", str(new))
    with new.open("rb+") as file:
        os.fsync(file.fileno())
    moved = _set_aside(data, now)
    sync_folder(data)
    new.rename(data / DATABASE)
    sync_folder(data)
    return moved


def _set_aside(data: Path, now: int) -> Path | None:
    folder = data / ASIDE
    time = datetime.fromtimestamp(now // 1_000_000, UTC).strftime("%Y%m%dT%H%M%S")
    target = folder / f"metadata-{time}-{now % 1_000_000:06}.sqlite3"
    moved = False
    for end in _BESIDE:  # its log, too: the new database must never meet an old log
        old = data / (DATABASE + end)
        if old.exists():
            folder.mkdir(exist_ok=True)
            old.rename(target.with_name(target.name + end))
            moved = True
    if moved:
        sync_folder(folder)
    return target if moved else None
