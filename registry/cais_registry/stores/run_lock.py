# SPDX-License-Identifier: Apache-2.0
"""Says that a garbage collection goes, to whoever could begin another one."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Protocol


class Hold(Protocol):
    """The lock, held."""

    def close(self) -> None:
        """Let it go."""


class RunLock(Protocol):
    """One run at a time holds it; it ends with the process that does."""

    async def take(self) -> Hold | None:
        """Return the lock, None when another one holds it.

        Raises:
            Unavailable: If the database that knows it is away.
        """

    async def is_held(self) -> bool:
        """Whether any process holds it.

        Raises:
            Unavailable: If the database that knows it is away.
        """


class FileLock:
    """Between the processes of one data folder."""

    def __init__(self, path: Path) -> None:
        """Take the path of a file, which is made when missing."""
        self._path = path

    async def take(self) -> _Descriptor | None:
        """See `RunLock`."""
        return self._taken()

    async def is_held(self) -> bool:
        """See `RunLock`."""
        hold = self._taken()
        if hold is not None:
            hold.close()
        return hold is None

    def _taken(self) -> _Descriptor | None:
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        return _Descriptor(descriptor)


class _Descriptor:
    """An open file; the lock belongs to its description."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def close(self) -> None:
        os.close(self._descriptor)
