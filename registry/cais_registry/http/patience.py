# SPDX-License-Identifier: Apache-2.0
"""How long clients are waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

T = TypeVar("T")
LOOK_SECONDS: Final = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Slowest:
    """The slowest that is put up with: so many bytes in so much waiting for the client.

    Attributes:
        seconds: Of waiting; what the server itself takes does not count.
        count: Bytes that have to move meanwhile, at least one.
    """

    seconds: float = 60.0
    count: int = 60 * 240


class Patience:
    """Watches over all tasks that wait for their clients, with one timer.

    `asyncio.timeout` would make a timer for each wait: for the pieces of a small body that costs
    more than to take them in.

    Attributes:
        slowest: How slow clients may be.
    """

    def __init__(self, slowest: Slowest | None = None) -> None:
        self.slowest = slowest or Slowest()
        self._until: dict[asyncio.Task[Any], float] = {}
        self._given_up: set[asyncio.Task[Any]] = set()
        self._timer: asyncio.TimerHandle | None = None

    async def wait(self, step: Awaitable[T], until: float) -> T:
        """Wait for something that a client does.

        Args:
            step: What it does.
            until: When it has to be done, in seconds of the loop's clock, to `LOOK_SECONDS`.

        Raises:
            TimeoutError: If it was not.
        """
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        if task is None:
            raise RuntimeError("only a task can be given up")
        before = task.cancelling()
        self._until[task] = until
        if self._timer is None:
            self._timer = loop.call_later(LOOK_SECONDS, self._look, loop)
        try:
            return await step
        except asyncio.CancelledError:
            if task in self._given_up and task.uncancel() <= before:
                raise TimeoutError from None
            raise
        finally:
            del self._until[task]
            self._given_up.discard(task)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        """Give up whoever waits too long; come back while anyone waits."""
        now = loop.time()
        late = [task for task, until in self._until.items() if until <= now]
        for task in late:
            if task not in self._given_up:
                self._given_up.add(task)
                task.cancel()
        again = bool(self._until)
        self._timer = loop.call_later(LOOK_SECONDS, self._look, loop) if again else None
