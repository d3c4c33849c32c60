# SPDX-License-Identifier: Apache-2.0
"""The one thread of a process that writes to the database.

Writes that wait while a commit goes to the disk share the next one ("group commit"). Each has a
savepoint of its own, so that one that fails takes no other with it.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any, Final

from cais_registry.stores.connection import Connection
from cais_registry.stores.sqlite import SqliteConnection, translated

MAX_BATCH: Final = 64
"""Most writes in one commit, which bounds how long a single one waits."""


@dataclass(slots=True)
class Job:
    """One write and what came of it."""

    work: Callable[[Connection], Any]
    future: asyncio.Future[Any]
    result: Any = None
    error: BaseException | None = None


class _BatchLost(Exception):  # noqa: N818 - a signal inside this module
    """SQLite has rolled the whole transaction back."""


class Writer:
    """Runs jobs in order, in batches, on a thread of its own.

    Attributes:
        last: Time of the newest write, in microseconds since 1970.
    """

    def __init__(self, connection: SqliteConnection, clock: Callable[[], int]) -> None:
        self._connection = connection
        self._clock = clock
        self.last = 0
        self._queue: SimpleQueue[Job | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._serve, name="cais-writer", daemon=True)
        self._thread.start()

    def submit(self, job: Job) -> None:
        """Hand over a job; its future is done after its commit."""
        self._queue.put(job)

    def stop(self) -> None:
        """Finish what was handed over, then end the thread and close the connection."""
        self._queue.put(None)
        self._thread.join()
        self._connection.raw.close()

    def _serve(self) -> None:
        while (first := self._queue.get()) is not None:
            batch, more = self._gather(first)
            self._run(batch)
            _deliver(batch)
            if not more:
                return

    def _gather(self, first: Job) -> tuple[list[Job], bool]:
        batch = [first]
        while len(batch) < MAX_BATCH:
            try:
                job = self._queue.get_nowait()
            except Empty:
                break
            if job is None:
                return batch, False
            batch.append(job)
        return batch, True

    def _run(self, batch: list[Job]) -> None:
        """Commit all of a batch; if that cannot be, each job alone."""
        try:
            self._transact(batch)
        except Exception as error:  # noqa: BLE001 - this thread must live: all writes need it
            self._connection.rollback()
            if len(batch) == 1:
                batch[0].error = batch[0].error or translated(error)
                return
            for job in batch:
                job.result = job.error = None
                self._run([job])

    def _transact(self, batch: list[Job]) -> None:
        self._connection.begin(write=True, now=self._time())
        for job in batch:
            self._connection.now = self._time()
            self._step(job)
        self._connection.commit()

    def _step(self, job: Job) -> None:
        raw = self._connection.raw
        raw.execute("SAVEPOINT job")
        try:
            job.result = job.work(self._connection)
        except Exception as error:
            job.error = translated(error)
            if not raw.in_transaction:
                raise _BatchLost from error
            raw.execute("ROLLBACK TO job")
        raw.execute("RELEASE job")

    def _time(self) -> int:
        self.last = max(self._clock(), self.last + 1)
        return self.last


def _deliver(batch: list[Job]) -> None:
    loop = batch[0].future.get_loop()
    with suppress(RuntimeError):  # the loop has ended; nobody waits
        loop.call_soon_threadsafe(_resolve, batch)


def _resolve(batch: list[Job]) -> None:
    for job in batch:
        if job.future.done():  # whoever waited has gone
            continue
        if job.error is not None:
            job.future.set_exception(job.error)
        else:
            job.future.set_result(job.result)
