# SPDX-License-Identifier: Apache-2.0
"""Where everything is built, wired, started and stopped."""

import asyncio
import logging
import os
import socket
import time
import uuid
from collections.abc import Mapping
from typing import Any

from cais_operator import definitions, handlers, health, names
from cais_operator.access import AccessLoops, AccessReconciler
from cais_operator.cluster import Children, Client, Connection, connect
from cais_operator.consumers import Directory
from cais_operator.feed import Ear, Feed
from cais_operator.handshake import Handshake, TlsHandshake
from cais_operator.installation import Installation
from cais_operator.leader import Leader
from cais_operator.loops import Loops
from cais_operator.metrics import Metrics
from cais_operator.queue import WorkQueue
from cais_operator.reconcile import Reconciler
from cais_operator.registry_api import HttpRegistryApi, RegistryApi
from cais_operator.resource import Key
from cais_operator.restarts import Restarts
from cais_operator.rotation import Turns
from cais_operator.rotator import Rotator
from cais_operator.settings import Settings
from cais_operator.settled import Settled
from cais_operator.survey import Survey

_STALE = 60.0  # seconds without an answer about the Lease
_log = logging.getLogger(__name__)


class App:
    """One operator process."""

    def __init__(
        self,
        settings: Settings,
        connection: Connection,
        server: RegistryApi | None = None,
        handshake: Handshake | None = None,
    ) -> None:
        clock = time.monotonic
        self._clock = clock
        self._settings = settings
        self._connection = connection
        self._queue = WorkQueue(clock)
        self._metrics = Metrics(
            queued=lambda: len(self._queue),
            age=self._queue.age,
            watches=lambda: self._loops.seen,
            clock=clock,
        )
        self._feeds = [Feed(place, clock) for place in settings.namespaces or (None,)]
        self._cluster = Client(connection, self._metrics.requested, self._may_write)
        children, directory = Children(), Directory()
        self._installation = Installation(self._cluster, children, settings)
        self._metrics.refused.set_function(self._installation.refused)
        self._access = self._access_loops(children, directory)
        server = server or HttpRegistryApi()
        self._settled = Settled(children, server, clock, self._queue.wake)
        self._loops = self._registry_loops(children, directory, server, handshake or TlsHandshake())
        self._leader = Leader(
            self._cluster, namespace=settings.system_namespace, identity=_identity(), clock=clock
        )
        self._stop = asyncio.Event()
        self._work: asyncio.Task[None] | None = None
        self._exit_code = 0

    def _registry_loops(
        self, children: Children, directory: Directory, server: RegistryApi, handshake: Handshake
    ) -> Loops:
        cluster, settings, turns = self._cluster, self._settings, Turns()
        restarts = Restarts(children, settings, self._queue.add, self._metrics.rollout.note)
        reconciler = Reconciler(
            cluster=cluster,
            children=children,
            directory=directory,
            server=server,
            settings=settings,
            turns=turns,
            restarts=restarts,
            take=self._installation.take,
        )
        rotator = Rotator(
            cluster=cluster,
            survey=Survey(cluster, children, handshake, settings, self._installation.is_anothers),
            settings=settings,
            turns=turns,
            metrics=self._metrics.authority,
            queue=self._queue.add,
        )
        return Loops(
            cluster=cluster,
            children=children,
            queue=self._queue,
            feeds=self._feeds,
            reconciler=reconciler,
            restarts=restarts,
            settled=self._settled,
            access=self._access,
            rotator=rotator,
            installation=self._installation,
            metrics=self._metrics,
            settings=settings,
            clock=self._clock,
        )

    def _access_loops(self, children: Children, directory: Directory) -> AccessLoops:
        reconciler = AccessReconciler(
            cluster=self._cluster,
            children=children,
            directory=directory,
            settings=self._settings,
            take=self._installation.take,
        )
        return AccessLoops(
            cluster=self._cluster,
            directory=directory,
            registries=self._queue,
            reconciler=reconciler,
            installation=self._installation,
            metrics=self._metrics,
            settings=self._settings,
            clock=self._clock,
        )

    async def run(self) -> int:
        """Run until a signal comes or the Lease is lost; return the exit code."""
        runner = await health.serve(self._settings.health_listen, self, self._metrics.text)
        try:
            if not await definitions.served(self._cluster, self._settings, self._stop):
                return self._exit_code
            # Created before kopf starts: at its end it cancels whatever began after it.
            self._work = asyncio.create_task(self._lead())
            self._work.add_done_callback(self._ended)
            await handlers.listen(
                settings=self._settings,
                connection=self._connection,
                ear=Ear(self._feeds, self._metrics.requested),
                changed=self._changed,
                cleanup=self._finish,
                stop=self._stop,
            )
        finally:
            await self._finish()
            await runner.cleanup()
            await self._cluster.close()
        return self._exit_code

    def stop(self) -> None:
        """Ask it to end, as a signal does."""
        self._stop.set()

    def ill(self) -> str | None:
        """See `health.Vitals`."""
        return self._loops.stuck() if self._leader.leading else None

    def unready(self) -> str | None:
        """See `health.Vitals`. A standby is ready: it answers, and may lead at any time."""
        if self._leader.leading:
            return self._loops.behind()
        answered = self._leader.last_answer
        if answered is None or self._clock() - answered > _STALE:
            return "the API server has not answered about the Lease"
        return None

    def _may_write(self) -> bool:
        return not self._settings.leader_elect or self._leader.may_write()

    def _changed(self, key: Key, version: str, status: Mapping[str, Any] | None) -> None:
        if status is None:
            self._metrics.census.forget(key)
        else:
            self._metrics.census.note(key, status)
        if self._leader.leading:  # the next leader lists them all
            self._settled.told(key, (names.KIND, *key), version)
            self._access.registry_changed(key)

    def _ended(self, work: asyncio.Task[None]) -> None:
        """The work never ends by itself: a lost Lease or a fault is a reason to start anew."""
        if not work.cancelled():
            self._exit_code = 1
        self._stop.set()

    async def _lead(self) -> None:
        """Wait for the Lease, then work while it is held."""
        if not self._settings.leader_elect:
            self._leader.leading = True
            self._metrics.leading.set(1)
            await self._loops.run()
            return
        await self._leader.acquire()
        self._metrics.leading.set(1)
        work = asyncio.create_task(self._loops.run())
        hold = asyncio.create_task(self._leader.hold())
        try:
            await asyncio.wait({work, hold}, return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                work.result()
        finally:
            await _end(work, hold)

    async def _finish(self) -> None:
        """Stop working, then let the Lease go."""
        if self._work is not None:
            await _end(self._work)
        await self._leader.release()


async def run(settings: Settings) -> int:
    """Run one operator; return the exit code.

    Raises:
        CaisError: When there is no way to an API server.
        OSError: When the health address cannot be used.
    """
    connection = await connect(settings.kubeconfig)
    return await App(settings, connection).run()


async def _end(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    for result in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(result, Exception):
            _log.error("stopped by a fault", exc_info=result)


def _identity() -> str:
    """Return a name that no other process has, also after a restart in the same pod."""
    host = os.environ.get("POD_NAME") or socket.gethostname()
    return f"{host}_{uuid.uuid4().hex[:8]}"
