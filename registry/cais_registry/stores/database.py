# SPDX-License-Identifier: Apache-2.0
"""What the services know of a database; SQLite and PostgreSQL stand behind it."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Final, Protocol, TypeVar

from cais_registry.stores.connection import Connection
from cais_registry.stores.run_lock import RunLock
from cais_registry.stores.writer import WriteCounts

T = TypeVar("T")
MAX_WAITING: Final = 1024
"""Writes that may wait; whoever comes later waits before handing over."""


def microseconds() -> int:
    """The time now, in microseconds since 1970."""
    return time.time_ns() // 1000


class Database(Protocol):
    """Transactions over the registry's metadata.

    The functions handed over run over one `Connection` and touch nothing else: a write may be run
    again when the commit that it shared with others could not be made.
    """

    def now(self) -> int:
        """The time, in microseconds since 1970; not before any write that is done."""

    async def version(self) -> Hashable | None:
        """A value that is another one after every commit, of whichever process.

        What was read after this was asked is true for as long as it stays the same: caches rest on
        it (docs/adr/0009). None where asking costs as much as reading: then nothing is remembered.
        """

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run a short function over one snapshot (point queries, pages).

        Raises:
            Unavailable: If the database is away.
        """

    async def read_one(self, work: Callable[[Connection], T]) -> T:
        """Run a function of one statement at most, which is a snapshot by itself: the cheapest.

        Raises:
            Unavailable: If the database is away.
        """

    async def read_slowly(self, work: Callable[[Connection], T]) -> T:
        """Run a function that may take long over one snapshot; short reads do not wait for it."""

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Run a function in a transaction; return its result once that survives a power loss.

        Raises:
            StorageFull: If the disk is full; nothing was changed.
            Unavailable: If the database is away; whether anything was changed is unknown.
            Exception: Whatever the function raises; nothing was changed.
        """

    def run_lock(self, path: Path) -> RunLock:
        """What says that a garbage collection goes, in whichever process over this database.

        Args:
            path: Of a file in the data folder, for a database that is in it.
        """

    def counts(self) -> WriteCounts:
        """What this process has written since it opened the database."""

    def close(self) -> None:
        """Finish the writes that wait, then close."""
