# SPDX-License-Identifier: Apache-2.0
"""Kinds that not every cluster knows: watched from when a Registry first has to do with one.

A kind that is not installed answers 404; its watch tries again, and when the kind appears, every
Registry that waits for it is looked at.
"""

import asyncio
from collections.abc import Callable, Iterable

from cais_operator.cluster import Watch
from cais_operator.queue import WorkQueue
from cais_operator.resource import Key

Build = Callable[[str, Callable[[], None]], Iterable[Watch]]


class Demand:
    """Who has to do with which of these kinds, and the watches of those."""

    def __init__(self, queue: WorkQueue, build: Build) -> None:
        """Take the queue, and what makes the watches of a kind that call back at each list."""
        self._queue = queue
        self._build = build
        self._of: dict[Key, tuple[str, ...]] = {}
        self._watched: set[str] = set()
        self._group: asyncio.TaskGroup | None = None

    def start(self, group: asyncio.TaskGroup) -> None:
        """Say where the watches run."""
        self._group = group

    def set(self, key: Key, kinds: tuple[str, ...]) -> None:
        """Note what a Registry has to do with now; a watch once started goes on."""
        self._of[key] = kinds
        for kind in set(kinds) - self._watched:
            self._start(kind)

    def forget(self, key: Key) -> None:
        """Note that a Registry is gone."""
        self._of.pop(key, None)

    def _start(self, kind: str) -> None:
        if self._group is None:
            return
        self._watched.add(kind)
        for watch in self._build(kind, lambda: self._wake(kind)):
            self._group.create_task(watch.run())

    def _wake(self, kind: str) -> None:
        for key, kinds in self._of.items():
            if kind in kinds:
                self._queue.add(key)
