# SPDX-License-Identifier: Apache-2.0
"""How slowly a body may move: one that hardly moves holds memory, a file and a connection."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from cais_registry.http.patience import Patience

T = TypeVar("T")


class Pace:
    """Watches over one body, in either direction."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._left = patience.slowest.seconds
        self._moved = 0

    async def wait(self, step: Awaitable[T]) -> T:
        """Wait for the client to take or send something.

        Raises:
            TimeoutError: If it is too slow.
        """
        clock = asyncio.get_running_loop().time
        began = clock()
        result = await self._patience.wait(step, began + self._left)
        self._left -= clock() - began
        return result

    def moved(self, count: int) -> None:
        """Bytes were taken or sent; enough of them begin a new span of time."""
        self._moved += count
        if self._moved >= self._patience.slowest.count:
            self._moved, self._left = 0, self._patience.slowest.seconds
