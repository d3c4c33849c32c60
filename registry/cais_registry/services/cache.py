# SPDX-License-Identifier: Apache-2.0
"""What was read from the database, remembered for exactly as long as nothing was committed."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Final, Generic, TypeVar

from cais_registry.stores.connection import Connection
from cais_registry.stores.database import Database

T = TypeVar("T")
MOST_BYTES: Final = 4 << 20
"""Of all that one cache remembers."""

_EACH: Final = 1024  # bytes that an entry costs beside its content, generously
_LARGEST: Final = MOST_BYTES // 16


class Cache(Generic[T]):
    """Answers again what was answered before, at the same version of the database.

    The version is asked for before anything is read, so an entry is never older than the version
    it is kept under; whatever process commits, the version moves, and everything is forgotten.
    Whether a caller may see an answer is not decided here: that comes before.
    """

    def __init__(self, database: Database, *, weigh: Callable[[T], int] = lambda _: 0) -> None:
        """Begin with nothing.

        Args:
            database: What is read from.
            weigh: Bytes of an answer's content.
        """
        self._database = database
        self._weigh = weigh
        self._version: Hashable | None = None
        self._entries: dict[Hashable, T] = {}
        self._bytes = 0

    async def read(self, key: Hashable, work: Callable[[Connection], T | None]) -> T | None:
        """The answer to `key`: remembered, or read now.

        Args:
            key: All that the answer depends on, but the database.
            work: Reads it (`Database.read_one`); None, which is not remembered, for "not there".
        """
        version = await self._database.version()
        if version != self._version:
            self._forget()
            self._version = version
        found = self._entries.get(key)
        if found is None:
            found = await self._database.read_one(work)
            if found is not None and version is not None and version == self._version:
                self._remember(key, found)
        return found

    def _remember(self, key: Hashable, answer: T) -> None:
        size = self._weigh(answer)
        if size > _LARGEST:
            return
        if self._bytes + size + _EACH > MOST_BYTES:
            self._forget()
        self._entries[key] = answer
        self._bytes += size + _EACH

    def _forget(self) -> None:
        self._entries.clear()
        self._bytes = 0
