# SPDX-License-Identifier: Apache-2.0
"""How slowly a body may move: one that hardly moves holds memory, a file and a connection."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any

from cais_registry.http.patience import Patience


class Pace:
    """Watches over one body, in either direction: `with pace:` around each wait for the client.

    Entered for every piece of every body: two calls of functions cost less than the coroutines
    that would wrap what is awaited. Leaving raises TimeoutError if the client was too slow.
    """

    __slots__ = ("_began", "_cancelling", "_left", "_moved", "_patience", "_task")

    def __init__(self, patience: Patience) -> None:
        """Prepare; the first span of time begins with the first wait.

        Args:
            patience: Gives up whoever is too slow.
        """
        self._task: asyncio.Task[Any] | None = None
        self._patience = patience
        self._left = patience.slowest.seconds
        self._moved = self._cancelling = 0
        self._began = 0.0

    def __enter__(self) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("only a task can be given up")
        self._task, self._cancelling = task, task.cancelling()
        self._began = began = task.get_loop().time()
        self._patience.begin(task, began + self._left)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        task, self._task = self._task, None
        if task is None:
            raise RuntimeError("nobody waits")
        self._left -= task.get_loop().time() - self._began
        if not self._patience.end(task) or kind is not asyncio.CancelledError:
            return
        if task.uncancel() <= self._cancelling:  # else somebody besides has cancelled it
            raise TimeoutError from None

    def moved(self, count: int) -> None:
        """Bytes were taken or sent; enough of them begin a new span of time."""
        self._moved += count
        if self._moved >= self._patience.slowest.count:
            self._moved, self._left = 0, self._patience.slowest.seconds
