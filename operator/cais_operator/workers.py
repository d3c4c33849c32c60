# SPDX-License-Identifier: Apache-2.0
"""Workers that empty a queue: what fails comes back later, and a bug of one key stops no other."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from cais_operator.errors import ApiUnavailable, Conflict
from cais_operator.metrics import Metrics
from cais_operator.queue import WorkQueue
from cais_operator.resource import Key

_log = logging.getLogger(__name__)


class Workers:
    """Some tasks over one queue."""

    def __init__(
        self,
        queue: WorkQueue,
        metrics: Metrics,
        look: Callable[[Key], Awaitable[float | None]],
    ) -> None:
        """Build them.

        Args:
            queue: Where keys come from.
            metrics: Counts what was done.
            look: Does the work of a key; returns seconds until the next look without a reason.
        """
        self._queue = queue
        self._metrics = metrics
        self._look = look

    def start(self, group: asyncio.TaskGroup, count: int) -> None:
        """Start so many of them; they never end."""
        for _ in range(count):
            group.create_task(self._work())

    async def _work(self) -> None:
        while True:
            key = await self._queue.take()
            with self._metrics.duration.time():
                result = await self._one(key)
            self._metrics.reconciles.labels(result).inc()

    async def _one(self, key: Key) -> str:
        try:
            after = await self._look(key)
        except (ApiUnavailable, Conflict) as error:
            pause = self._queue.failed(key, getattr(error, "retry_after", None))
            _log.warning("%s; again in %.1f s", error, pause, extra={"key": key})
            return "retry"
        except Exception:  # noqa: BLE001 - a bug that one object meets must not stop the others
            pause = self._queue.failed(key)
            _log.exception("reconcile failed; again in %.1f s", pause, extra={"key": key})
            return "error"
        self._queue.done(key, after)
        return "done"
