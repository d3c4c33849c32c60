# SPDX-License-Identifier: Apache-2.0
"""Doing several things at once, a bounded number of them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Hashable
from typing import Any, Generic, TypeVar

T = TypeVar("T")
K = TypeVar("K", bound=Hashable)


async def work_off(
    waiting: list[T], work: Callable[[T], Awaitable[object]], *, at_once: int
) -> None:
    """Do something with each thing of a list, with the last one first.

    An error ends it: the others are cancelled, and have ended when it is raised.

    Args:
        waiting: The things; emptied. What is done may add to it.
        work: What is done with each.
        at_once: With so many at the same time.
    """
    free = at_once - 1

    async def go_on(group: asyncio.TaskGroup) -> None:
        nonlocal free
        while waiting:
            thing = waiting.pop()
            if waiting and free:
                free -= 1
                group.create_task(go_on(group))
            await work(thing)
        free += 1

    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(go_on(group))
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None


class Once(Generic[K, T]):
    """Does each thing once, also where several ask for it at the same time, and remembers it."""

    def __init__(self) -> None:
        self._done: dict[K, T] = {}
        self._coming: dict[K, asyncio.Future[T]] = {}

    async def of(self, key: K, work: Callable[[], Awaitable[T]]) -> T:
        """What came of a thing.

        Args:
            key: The thing.
            work: Does it; it must not ask for what waits for it. An error is raised to whoever
                asked first; the others are cancelled.
        """
        if key in self._done:
            return self._done[key]
        coming = self._coming.get(key)
        if coming is not None:
            return await asyncio.shield(coming)
        coming = self._coming[key] = asyncio.get_running_loop().create_future()
        try:
            self._done[key] = result = await work()
            coming.set_result(result)
        finally:
            coming.cancel()
            del self._coming[key]
        return result


async def to_its_end(work: Coroutine[Any, Any, T]) -> T:
    """Do what has ended, one way or the other, also when whoever waits for it is cancelled."""
    working = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not working.done():
        try:
            await asyncio.wait([working])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is None:
        return await working
    if not working.cancelled():
        working.exception()  # nobody waits for it any more
    raise cancelled
