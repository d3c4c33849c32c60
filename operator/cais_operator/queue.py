# SPDX-License-Identifier: Apache-2.0
"""The work queue: which Registry is looked at next. One at a time per key, never lost, bounded.

A key that is added while it waits is one entry; one that is added while it is worked on comes again
afterwards; a later time is a promise that an earlier reason overtakes. `Schedule` decides and knows
no clock; `WorkQueue` waits.
"""

import asyncio
import heapq
import random
from collections.abc import Callable

from cais_operator.resource import Key
from cais_operator.waiting import woken

_FIRST_PAUSE = 0.5  # seconds after a failure, doubled with each, up to
_LONGEST_PAUSE = 60.0
_MOST_DOUBLINGS = 10

Clock = Callable[[], float]


class Schedule:
    """Keys and when they are due; all times are seconds on one monotonic clock."""

    def __init__(self) -> None:
        self._ready: dict[Key, float] = {}  # key to when it became ready, oldest first
        self._active: dict[Key, float] = {}  # key to when work on it began
        self._again: set[Key] = set()  # added while active
        self._asked: set[Key] = set()  # to be looked at for a reason, and not only by the clock
        self._urgent: set[Key] = set()  # of the active ones, those that were
        self._due: dict[Key, float] = {}
        self._heap: list[tuple[float, Key]] = []  # may hold times that are no longer promised

    def __len__(self) -> int:
        return len(self._ready)

    def __contains__(self, key: Key) -> bool:
        return key in self._ready or key in self._active or key in self._due

    def add(self, key: Key, now: float, *, is_asked: bool = True) -> None:
        """Make a key ready, or note that it must come again.

        Args:
            key: Which.
            now: The time.
            is_asked: Whether for a reason, and not only because it is time or may have changed.
        """
        self._due.pop(key, None)
        if is_asked:
            self._asked.add(key)
        if key in self._active:
            self._again.add(key)
        else:
            self._ready.setdefault(key, now)

    def add_at(self, key: Key, when: float) -> None:
        """Promise a key for a time; the earlier of two promises holds, and ready is earlier."""
        if key in self._ready or self._due.get(key, when + 1) <= when:
            return
        self._due[key] = when
        heapq.heappush(self._heap, (when, key))

    def waits(self, key: Key) -> bool:
        """Return whether a key is ready, and not worked on."""
        return key in self._ready

    def take(self, now: float) -> Key | None:
        """Return the key that has been ready longest and mark it active; None without one."""
        self._ripen(now)
        if not self._ready:
            return None
        key = next(iter(self._ready))
        del self._ready[key]
        self._active[key] = now
        if key in self._asked:
            self._asked.remove(key)
            self._urgent.add(key)
        return key

    def is_asked(self, key: Key) -> bool:
        """Return whether an active key was added for a reason."""
        return key in self._urgent

    def active(self) -> tuple[Key, ...]:
        """Return the keys that are worked on."""
        return tuple(self._active)

    def done(self, key: Key, now: float, next_at: float | None) -> None:
        """End the work on a key.

        Args:
            key: As taken.
            now: The time.
            next_at: When to look again; None means only when there is a reason.
        """
        del self._active[key]
        self._urgent.discard(key)
        if key in self._again:
            self._again.remove(key)
            self.add(key, now, is_asked=False)
        elif next_at is not None:
            self.add_at(key, next_at)

    def next_due(self) -> float | None:
        """Return when the next promised key becomes ready; None without any."""
        while self._heap and self._due.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def oldest(self) -> float | None:
        """Return since when the key that waits or is worked on longest does so."""
        return min((*self._ready.values(), *self._active.values()), default=None)

    def _ripen(self, now: float) -> None:
        while (due := self.next_due()) is not None and due <= now:
            _, key = heapq.heappop(self._heap)
            self.add(key, due, is_asked=False)


class WorkQueue:
    """A schedule that can be waited on, with backoff for what failed."""

    def __init__(self, clock: Clock, jitter: Callable[[float, float], float] | None = None) -> None:
        self._schedule = Schedule()
        self._failures: dict[Key, int] = {}
        self._wake = asyncio.Event()
        self._clock = clock
        self._jitter = jitter or random.uniform

    def __len__(self) -> int:
        """Return how many keys wait."""
        return len(self._schedule)

    def __contains__(self, key: Key) -> bool:
        """Return whether a key waits, is worked on, or is promised."""
        return key in self._schedule

    def waits(self, key: Key) -> bool:
        """Return whether a key has its turn next, and is not worked on."""
        return self._schedule.waits(key)

    def add(self, key: Key, after: float = 0.0) -> None:
        """Ask for a look at a Registry.

        Args:
            key: Which.
            after: Seconds from now.
        """
        now = self._clock()
        if after <= 0:
            self._schedule.add(key, now)
        else:
            self._schedule.add_at(key, now + after)
        self._wake.set()

    def wake(self, key: Key) -> None:
        """Ask for a look at a Registry that may rest on: whoever has its turn judges that."""
        self._schedule.add(key, self._clock(), is_asked=False)
        self._wake.set()

    def is_asked(self, key: Key) -> bool:
        """Return whether a key that is worked on was added for a reason, and not only woken."""
        return self._schedule.is_asked(key)

    def active(self) -> tuple[Key, ...]:
        """Return the keys that are worked on, which may have read what has changed since."""
        return self._schedule.active()

    def age(self) -> float:
        """Return for how many seconds the oldest unfinished key has been due; 0 without one."""
        oldest = self._schedule.oldest()
        return 0.0 if oldest is None else max(0.0, self._clock() - oldest)

    async def take(self) -> Key:
        """Wait for a key."""
        while (key := self._schedule.take(self._clock())) is None:
            self._wake.clear()
            await self._wait()
        return key

    def done(self, key: Key, after: float | None = None) -> None:
        """End the work on a key that went well; `after` seconds it is looked at again."""
        self._failures.pop(key, None)
        self._finish(key, after)

    def failed(self, key: Key, retry_after: float | None = None) -> float:
        """End the work on a key that is to be tried again.

        Args:
            key: Which.
            retry_after: Seconds that the API server asked for; the least that is waited.

        Returns:
            The pause in seconds.
        """
        count = self._failures[key] = self._failures.get(key, 0) + 1
        pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** min(count - 1, _MOST_DOUBLINGS))
        pause = max(self._jitter(pause / 2, pause), retry_after or 0.0)
        self._finish(key, pause)
        return pause

    def _finish(self, key: Key, after: float | None) -> None:
        now = self._clock()
        self._schedule.done(key, now, None if after is None else now + after)
        self._wake.set()

    async def _wait(self) -> None:
        due = self._schedule.next_due()
        pause = None if due is None else max(0.0, due - self._clock())
        await woken(self._wake, pause)
