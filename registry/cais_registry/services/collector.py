# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Final

from cais_registry.model.errors import StorageFull
from cais_registry.model.policy import Policy
from cais_registry.model.run import Run, RunState, RunTotals
from cais_registry.services.failpoints import Failpoint, no_failpoint
from cais_registry.services.reaper import Reaper
from cais_registry.services.retention import Keeper, RulesChanged
from cais_registry.services.usage import reclaimable
from cais_registry.stores.connection import Connection
from cais_registry.stores.database import Database
from cais_registry.stores.gc_queue import Kind, Times
from cais_registry.stores.gc_review import Counts, rehearse, review_batch
from cais_registry.stores.report_rows import ReportLine, report_after
from cais_registry.stores.run_lock import Hold, RunLock
from cais_registry.stores.run_rows import fail_interrupted, find_run, last_run, running, save_run
from cais_registry.stores.tag_rows import forget_deleted_tags
from cais_registry.stores.tombstone_rows import waiting_bytes

_LOG = logging.getLogger(__name__)
_BATCH: Final = 100
"""Entries in one transaction; a push waits for no longer than it takes."""
_PAUSE_SECONDS: Final = 0.5
"""Before files are deleted that were buried meanwhile: many at once cost less."""
_STOPPED: Final = "the server was stopped; the next run goes on where this one ended"


class GarbageCollector:
    """Runs garbage collection in the background, one run at a time, while pushes go on.

    The lock says that a run goes, in whichever process of whichever server; it ends with it.

    Attributes:
        totals: What the runs of this process did.
    """

    def __init__(  # noqa: PLR0913 - the parts of a run
        self,
        database: Database,
        reaper: Reaper,
        keeper: Keeper,
        *,
        lock: RunLock,
        policy: Callable[[], Policy],
        failpoint: Failpoint = no_failpoint,
    ) -> None:
        self._database = database
        self._reaper = reaper
        self._keeper = keeper
        self._lock = lock
        self._policy = policy
        self._failpoint = failpoint
        self._task: asyncio.Task[None] | None = None
        self._run: Run | None = None
        self.totals = RunTotals()

    async def start(self, *, dry_run: bool = False) -> Run:
        """Begin a run and return at once; a run that is going is returned instead.

        Args:
            dry_run: Report what would be done and change nothing.
        """
        while (going := await self.current()) is None:
            hold = await self._lock.take()
            if hold is not None:
                return await self._begin(hold, dry_run=dry_run)
            await asyncio.sleep(0.05)  # another process is about to write its run down
        return going

    async def _begin(self, hold: Hold, *, dry_run: bool) -> Run:
        run = Run(
            id=secrets.token_hex(8),
            state=RunState.RUNNING,
            dry_run=dry_run,
            started_at=_time(self._database.now()),
        )
        self._run = run

        def work(connection: Connection) -> None:
            fail_interrupted(connection, _STOPPED)
            save_run(connection, run)

        with suppress(StorageFull):  # a run may be what makes room: it goes on without a record
            await self._recorded(work, hold)
        self._task = asyncio.create_task(self._serve(run, hold))
        return run

    async def _recorded(self, work: Callable[[Connection], None], hold: Hold) -> None:
        try:
            await self._database.write(work)
        except StorageFull:
            raise
        except BaseException:
            self._run = None
            hold.close()
            raise

    async def wait(self) -> None:
        """Return when this process runs no garbage collection."""
        if self._task is not None:
            await asyncio.wait([self._task])

    async def stop(self) -> None:
        """End a run that goes in this process; it is marked Failed, the next one goes on."""
        if self._task is not None and not self._task.done():
            await asyncio.sleep(0)  # a task that has not begun would not clean up
            self._task.cancel()
            await asyncio.wait([self._task])

    async def current(self) -> Run | None:
        """The run that is going, if any, with what it has done so far."""
        if self._run is not None:
            return replace(self._run, duration_seconds=self._since(self._run))
        found = await self._database.read(running)
        if found is None or not await self._lock.is_held():
            return None
        return replace(found, duration_seconds=self._since(found))

    async def last(self) -> Run | None:
        """The newest finished run that was no dry run, if any."""
        return await self._database.read(partial(last_run, succeeded=False))

    async def last_success(self) -> Run | None:
        """The newest run that succeeded and was no dry run, if any."""
        return await self._database.read(partial(last_run, succeeded=True))

    async def last_dry_run(self) -> Run | None:
        """The newest finished dry run, if any."""
        return await self._database.read(partial(last_run, succeeded=False, dry_run=True))

    async def run(self, run_id: str) -> Run | None:
        """One run by its id, None if it is not known (any more)."""
        going = await self.current()
        if going is not None and going.id == run_id:
            return going
        found = await self._database.read(partial(find_run, run_id=run_id))
        if found is not None and found.state is RunState.RUNNING:
            return replace(found, state=RunState.FAILED, message=_STOPPED)
        return found

    async def report(self, run_id: str, *, after: int, limit: int) -> list[ReportLine]:
        """What retention took in a run, or would take: a page of lines, those after a place."""
        page = partial(report_after, run_id=run_id, last=after, limit=limit)
        return await self._database.read(page)

    def _since(self, run: Run) -> float:
        return max(0.0, self._database.now() / 1e6 - run.started_at.timestamp())

    async def _serve(self, run: Run, hold: Hold) -> None:
        """Do a run and write down what came of it, whatever happens."""
        try:
            work = self._rehearse if run.dry_run else self._collect
            await work()
            self._finish(RunState.SUCCEEDED, "")
        except asyncio.CancelledError:
            self._finish(RunState.FAILED, _STOPPED)
        except Exception as error:  # noqa: BLE001 - a run never ends without a report
            _LOG.exception("garbage collection failed")
            self._finish(RunState.FAILED, f"{type(error).__name__}: {error}"[:500])
        finally:
            try:
                with suppress(Exception):  # a full disk: a later run marks this one as failed
                    await self._save()
            finally:
                self._run = None
                hold.close()

    def _finish(self, state: RunState, message: str) -> None:
        run = self._known()
        self._run = replace(
            run,
            state=state,
            finished_at=_time(self._database.now()),
            message=message or run.summary(),
        )
        self.totals.add(self._run)

    def _known(self) -> Run:
        if self._run is None:
            raise AssertionError("no run goes")
        return self._run

    async def _save(self) -> None:
        await self._database.write(partial(save_run, run=self._known()))

    async def _collect(self) -> None:
        """One run, in the order of docs/adr/0006."""
        times = Times.of(self._database.now(), self._policy())
        uploads, size = await self._reaper.expire_uploads(times.now)
        self._run = replace(self._known(), uploads_expired=uploads, bytes_reclaimed=size)
        await self._retain(times)
        times = Times.of(self._database.now(), self._policy())  # what went just now may go on
        await self._review_and_reap(times)
        failed = await self._reap()
        await self._forget_tags(times)
        waiting = await self._database.read_slowly(partial(reclaimable, policy=times.policy))
        self._run = replace(self._known(), bytes_reclaimable=waiting)
        if failed:
            raise OSError(f"{failed} files could not be deleted; the next run tries again")

    async def _review_and_reap(self, times: Times) -> None:
        """Decide all that is due; what was buried is deleted meanwhile, but for the last of it."""
        reviews = asyncio.create_task(self._review_all(times))
        try:
            while not reviews.done() and not await self._reap():
                await asyncio.wait([reviews], timeout=_PAUSE_SECONDS)
            await reviews
        finally:
            reviews.cancel()
            await asyncio.wait([reviews])

    async def _review_all(self, times: Times) -> None:
        for kind in (Kind.MANIFEST, Kind.MEMBER, Kind.BYTES):
            await self._review(kind, times)

    async def _reap(self) -> int:
        """Delete what is buried; returns the number of files that could not be deleted."""
        size, failed = await self._reaper.reap()
        self._add(Counts(bytes=size))
        return failed

    async def _retain(self, times: Times) -> None:
        """What no rule of retention keeps goes first: a run without it is a run all the same."""
        run = self._known()
        try:
            async for task in self._keeper.run(run.id, times, dry_run=run.dry_run):
                self._run = replace(run, tags_deleted=task.tags, untagged_deleted=task.untagged)
        except RulesChanged:
            _LOG.info("the rules of retention have changed: the next run goes on with the new ones")
        except StorageFull as error:
            _LOG.warning("retention has to wait for the next run: %s", error)

    async def _review(self, kind: Kind, times: Times) -> None:
        while True:
            self._failpoint(f"review {kind}")
            now = replace(times, policy=self._policy())  # a tag may be immutable by now
            looked, counts = await self._database.write(
                partial(review_batch, kind=kind, times=now, limit=_BATCH)
            )
            if not looked:
                return
            self._add(replace(counts, bytes=0))  # given back when they are reaped

    async def _forget_tags(self, times: Times) -> None:
        forget = partial(forget_deleted_tags, before=times.now - times.window, limit=_BATCH)
        while await self._database.write(forget):
            pass

    async def _rehearse(self) -> None:
        """Count what a run would do."""
        times = Times.of(self._database.now(), self._policy())
        uploads, size = await self._reaper.count_expired(times.now)
        await self._retain(times)
        run_id = self._known().id
        counts = await self._database.read_slowly(partial(rehearse, times=times, run_id=run_id))
        buried = await self._database.read(waiting_bytes)
        waiting = await self._database.read_slowly(
            partial(reclaimable, policy=times.policy, run_id=run_id)
        )
        self._run = replace(self._known(), uploads_expired=uploads, bytes_reclaimable=waiting)
        self._add(replace(counts, bytes=counts.bytes + buried + size))

    def _add(self, counts: Counts) -> None:
        run = self._known()
        self._run = replace(
            run,
            manifests_deleted=run.manifests_deleted + counts.manifests,
            blobs_deleted=run.blobs_deleted + counts.blobs,
            bytes_reclaimed=run.bytes_reclaimed + counts.bytes,
        )


def _time(microseconds: int) -> datetime:
    return datetime.fromtimestamp(microseconds / 1e6, UTC)
