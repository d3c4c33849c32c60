# SPDX-License-Identifier: Apache-2.0
"""The one thread of a process that writes to the database.

Writes that wait while a commit goes to the disk share the next one ("group commit"). If one of
them fails, all are done again, each in a savepoint of its own: it takes no other with it then.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from queue import Empty, SimpleQueue
from typing import Any, Final, Protocol

from cais_registry.model.errors import Unavailable
from cais_registry.stores.connection import Connection

MAX_BATCH: Final = 64
"""Most writes in one commit, which bounds how long a single one waits."""


class WritingConnection(Connection, Protocol):
    """A connection that the writer has to itself.

    Attributes:
        now: Time of the write that is done at this moment.
    """

    now: int

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open that can go on or be rolled back to a savepoint."""

    def begin(self, *, write: bool, now: int) -> int:
        """Begin a transaction; returns the time of the newest write, 0 if nobody wrote it down."""

    def commit(self) -> None:
        """End the transaction; when it returns, the changes survive a power loss."""

    def rollback(self) -> None:
        """Undo the transaction, if one is still open."""

    def translated(self, error: Exception) -> Exception:
        """Turn what the database says into an error of the registry, where there is one."""

    def close(self) -> None:
        """Close it."""


@dataclass(slots=True)
class Job:
    """One write and what came of it."""

    work: Callable[[Connection], Any]
    future: asyncio.Future[Any]
    result: Any = None
    error: BaseException | None = None


class _BatchLost(Exception):  # noqa: N818 - a signal inside this module
    """The database has rolled the whole transaction back."""


@dataclass(slots=True)
class WriteCounts:
    """What a writer has done since it was made.

    Attributes:
        writes: Jobs that were committed, or that failed by themselves.
        transactions: Commits that they shared.
        seconds: How long those transactions took, the disk included.
        waiting: Jobs that wait at this moment.
    """

    writes: int = 0
    transactions: int = 0
    seconds: float = 0.0
    waiting: int = 0


class Writer:
    """Runs jobs in order, in batches, on a thread of its own.

    Attributes:
        last: Time of the newest write, in microseconds since 1970.
    """

    def __init__(self, connection: WritingConnection, clock: Callable[[], int]) -> None:
        self._connection = connection
        self._clock = clock
        self.last = 0
        self._counts = WriteCounts()
        self._queue: SimpleQueue[Job | None] = SimpleQueue()
        self._coming: list[Job] = []
        self._thread = threading.Thread(target=self._serve, name="cais-writer", daemon=True)
        self._thread.start()

    def submit(self, job: Job) -> None:
        """Take a job from the event loop's thread; its future is done after its commit.

        All that come in one turn of the loop are handed over together: the thread is woken once.
        """
        self._coming.append(job)
        if len(self._coming) == 1:
            job.future.get_loop().call_soon(self._hand_over)

    def _hand_over(self) -> None:
        coming, self._coming = self._coming, []
        for job in coming:
            self._queue.put(job)

    def counts(self) -> WriteCounts:
        """What was done so far."""
        return replace(self._counts, waiting=self._queue.qsize() + len(self._coming))

    def stop(self) -> None:
        """Finish what was taken, then end the thread and close the connection."""
        self._hand_over()
        self._queue.put(None)
        self._thread.join()
        self._connection.close()

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
        """Commit all of a batch; if that cannot be, each job alone.

        Where the database has gone away nothing is tried again: whether a commit was made may be
        unknown then, so it counts for nobody.
        """
        failure = self._attempt(batch, self._do)
        if failure is not None and len(batch) > 1 and not isinstance(failure, Unavailable):
            failure = self._attempt(batch, self._do_apart)
        if failure is None:
            return
        if len(batch) == 1 or _is_away(failure, batch):
            for job in batch:
                job.error = job.error or failure
            return
        for job in batch:
            job.result = job.error = None
            self._run([job])

    def _attempt(self, batch: list[Job], do: Callable[[Job], None]) -> Exception | None:
        """Commit all of a batch; what is returned has kept it from being committed."""
        try:
            self._transact(batch, do)
        except Exception as error:  # noqa: BLE001 - this thread must live: all writes need it
            self._connection.rollback()
            return self._connection.translated(error)
        return None

    def _transact(self, batch: list[Job], do: Callable[[Job], None]) -> None:
        began = time.perf_counter()
        newest = self._connection.begin(write=True, now=self._time())
        self.last = max(self.last, newest)
        for job in batch:
            self._connection.now = self._time()
            do(job)
        self._connection.commit()
        self._counts.writes += len(batch)
        self._counts.transactions += 1
        self._counts.seconds += time.perf_counter() - began

    def _do(self, job: Job) -> None:
        job.result = job.work(self._connection)

    def _do_apart(self, job: Job) -> None:
        """Do a job so that it takes no other with it if it fails."""
        connection = self._connection
        connection.execute("SAVEPOINT job")
        try:
            self._do(job)
        except Exception as error:
            job.error = connection.translated(error)
            if not connection.in_transaction:
                raise _BatchLost from error
            connection.execute("ROLLBACK TO SAVEPOINT job")
        connection.execute("RELEASE SAVEPOINT job")

    def _time(self) -> int:
        self.last = max(self._clock(), self.last + 1)
        return self.last


def _is_away(failure: Exception, batch: list[Job]) -> bool:
    return any(isinstance(error, Unavailable) for error in (failure, *(j.error for j in batch)))


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
