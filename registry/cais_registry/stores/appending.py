# SPDX-License-Identifier: Apache-2.0
"""Hands the pieces of a body from the event loop to a thread, with few words between the two."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import Final

MOST: Final = 512 * 1024
"""Bytes that wait for a thread before whoever sends has to wait as well."""


class Appending:
    """Pieces of one file on their way to a thread, which takes all that are there at once.

    A thread is asked for only while there is something to do, for one turn at a time: a client
    that sends slowly holds none, and one that never pauses does not keep others from theirs. The
    event loop hears of a turn only where somebody waits for it (docs/adr/0021).
    """

    def __init__(self, pool: Executor, append: Callable[[Sequence[bytes]], None]) -> None:
        """Begin with none.

        Args:
            pool: Threads to work in.
            append: Does the work, in order and never twice at a time. After it has raised it is
                not called again.
        """
        self._pool = pool
        self._append = append
        self._lock = threading.Lock()  # of all below
        self._pieces: list[bytes] = []
        self._waiting = 0  # bytes of them
        self._is_busy = False
        self._failed: Exception | None = None
        self._ready: tuple[bool, asyncio.Future[None]] | None = None
        self._last: Callable[[], None] | None = None

    async def put(self, pieces: Sequence[bytes]) -> None:
        """Take pieces; returns as soon as there is room for more.

        Raises:
            Exception: What `append` has raised, for these pieces or for some before.
        """
        with self._lock:
            self._check()
            self._pieces += pieces
            self._waiting += sum(map(len, pieces))
            if not self._is_busy:
                self._begin()
        if self._waiting >= MOST:
            await self._until(is_idle=False)
        self._check()

    async def drain(self) -> None:
        """Wait until all pieces are appended. Raises like `put`."""
        await self._until(is_idle=True)
        self._check()

    def at_last(self, act: Callable[[], None]) -> None:
        """Do something once all that was taken is appended: now, or in the thread."""
        with self._lock:
            if self._is_busy:
                self._last = act
                return
        act()

    def _check(self) -> None:
        if self._failed is not None:
            raise self._failed

    async def _until(self, *, is_idle: bool) -> None:
        """Wait until there is room, or until nothing is left to do."""
        with self._lock:
            if not (self._is_busy if is_idle else self._waiting >= MOST):
                return
            ready = asyncio.get_running_loop().create_future()
            self._ready = is_idle, ready
        await ready

    def _begin(self) -> None:
        self._pool.submit(self._turn)
        self._is_busy = True

    def _turn(self) -> None:
        try:
            self._append(self._take())
        except Exception as error:  # noqa: BLE001 - raised to whoever waits
            self._failed = error
        last = self._end()
        if last is not None:
            last()

    def _take(self) -> list[bytes]:
        with self._lock:
            pieces, self._pieces, self._waiting = self._pieces, [], 0
            self._tell(is_idle=False)
            return pieces

    def _end(self) -> Callable[[], None] | None:
        """End a turn, and begin another one for what has come meanwhile."""
        with self._lock:
            self._is_busy = False
            if self._pieces and self._failed is None:
                try:
                    self._begin()
                except RuntimeError as error:  # the threads are being ended
                    self._failed = error
            if self._is_busy:
                return None
            self._pieces, self._waiting = [], 0
            self._tell(is_idle=True)
            last, self._last = self._last, None
            return last

    def _tell(self, *, is_idle: bool) -> None:
        if self._ready is None or (self._ready[0] and not is_idle):
            return
        (_, ready), self._ready = self._ready, None
        loop = ready.get_loop()
        if not loop.is_closed():
            loop.call_soon_threadsafe(_wake, ready)


def _wake(ready: asyncio.Future[None]) -> None:
    if not ready.done():  # whoever waited may be cancelled
        ready.set_result(None)
