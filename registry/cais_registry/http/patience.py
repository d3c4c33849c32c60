# SPDX-License-Identifier: Apache-2.0
"""How long clients are waited for."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, Final

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

    def begin(self, task: asyncio.Task[Any], until: float) -> None:
        """A task waits for something that a client does; it is cancelled if that is not done.

        Args:
            task: Who waits; `end` has to follow.
            until: When it has to be done, in seconds of the loop's clock, to `LOOK_SECONDS`.
        """
        self._until[task] = until
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(LOOK_SECONDS, self._look, loop)

    def end(self, task: asyncio.Task[Any]) -> bool:
        """A task waits no more.

        Returns:
            Whether it was cancelled because it had waited too long.
        """
        del self._until[task]
        if task not in self._given_up:
            return False
        self._given_up.discard(task)
        return True

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
