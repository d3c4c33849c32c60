# SPDX-License-Identifier: Apache-2.0
"""What runs all the time on the leader: watches feed the queue, workers empty it."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence

from cais_operator import names
from cais_operator.access import AccessLoops
from cais_operator.authority_loop import AuthorityLoop
from cais_operator.cluster import (
    CHILD_KINDS,
    Children,
    Cluster,
    Object,
    Selection,
    Watch,
    identity,
    keys_of,
    watch_pods,
)
from cais_operator.demand import Demand
from cais_operator.feed import Feed
from cais_operator.installation import NAME, Installation
from cais_operator.metrics import Metrics
from cais_operator.nodes import Nodes
from cais_operator.queue import WorkQueue
from cais_operator.reconcile import Outcome, Reconciler
from cais_operator.references import References
from cais_operator.resource import Key
from cais_operator.restarts import Restarts
from cais_operator.roll import Roll
from cais_operator.rotator import Rotator
from cais_operator.settings import Settings
from cais_operator.settled import Settled
from cais_operator.workers import Workers

_log = logging.getLogger(__name__)
_STUCK = 600.0  # seconds without any progress
_STALE = 300.0  # seconds without an answer of the API server


class Loops:
    """Built once; `run` never returns.

    Attributes:
        watches: Of children and consumers, which run all the time.
        seen: These and the watches of Registries, which kopf runs.
    """

    def __init__(  # noqa: PLR0913 - built in one place
        self,
        *,
        cluster: Cluster,
        children: Children,
        queue: WorkQueue,
        feeds: Sequence[Feed],
        reconciler: Reconciler,
        restarts: Restarts,
        settled: Settled,
        access: AccessLoops,
        rotator: Rotator,
        installation: Installation,
        metrics: Metrics,
        settings: Settings,
        clock: Callable[[], float],
    ) -> None:
        self._cluster = cluster
        self._children = children
        self._queue = queue
        self._reconciler = reconciler
        self._restarts = restarts
        self._settled = settled
        self._access = access
        self._installation = installation
        self._settings = settings
        self._clock = clock
        self._census = metrics.census
        self._workers = Workers(queue, metrics, self._look)
        self._authority = self._authority_loop(rotator)
        own = (*self._child_watches(), *self._pod_watches(), self._authority.watch)
        self.watches = (*own, *access.watches)
        self.seen: Sequence[Watch | Feed] = (*self.watches, *feeds)
        self._references = References(cluster, queue, clock)
        self._keys = References(cluster, queue, clock, kind="ConfigMap")
        place = settings.node_trust
        self._nodes = Nodes(cluster, place, settings.resync) if place else None
        self._demand = Demand(queue, self._optional_watches)
        self._roll = Roll(cluster, queue, settings, self._called, clock)

    def _authority_loop(self, rotator: Rotator) -> AuthorityLoop:
        return AuthorityLoop(
            self._cluster,
            self._settings.system_namespace,
            self._children,
            rotator,
            concerned=self._look_at_all,
            clock=self._clock,
        )

    async def run(self) -> None:
        """Watch, wait until all children are known, then work."""
        async with asyncio.TaskGroup() as group:
            for watch in self.watches:
                group.create_task(watch.run())
            for watch in self.watches:
                await watch.synced.wait()
            _log.info("%d children known", len(self._children))
            await self._installation.settle()
            group.create_task(self._installation.keep())
            group.create_task(self._roll.run())
            group.create_task(self._authority.run())
            group.create_task(self._restarts.run())
            self._references.start(group)
            self._keys.start(group)
            if self._nodes is not None:
                group.create_task(self._nodes.run())
            self._demand.start(group)
            self._workers.start(group, self._settings.workers)
            self._access.start(group)

    def stuck(self) -> str | None:
        """Return what has made no progress for long; None when all does."""
        if self._installation.is_waiting:
            return None
        age = max(self._queue.age(), self._access.queue.age())
        if age > _STUCK:
            return f"a Registry or RegistryAccess has been due for {age:.0f} s"
        idle = [one for one in self.seen if self._clock() - one.last_try > _STUCK]
        return f"{len(idle)} watches have stopped" if idle else None

    def behind(self) -> str | None:
        """Return why what is known of the cluster may be old; None when it is not."""
        if not all(watch.synced.is_set() for watch in self.seen):
            return "the Registries and their children have not been listed yet"
        oldest = min(watch.last_answer or 0.0 for watch in self.seen)
        if self._clock() - oldest > _STALE:
            return f"the API server has not answered for {self._clock() - oldest:.0f} s"
        return self._installation.unready()

    async def _look(self, key: Key) -> float | None:
        listed = self._roll.take(key)
        if self._installation.is_anothers(key.namespace):
            return self._leave(key)
        pause = await self._settled.pause(key, is_asked=self._queue.is_asked(key))
        if pause is not None:
            return pause
        outcome = Outcome(after=0.0)
        try:
            outcome = await self._reconciler.reconcile(key, listed)
        finally:
            self._tell_nodes(key, outcome)
        if outcome.after is None:
            self._forget(key)
            await self._installation.leave(names.KIND, key)
        else:
            self._note(key, outcome)
        return outcome.after

    def _leave(self, key: Key) -> float:
        """Have nothing to do with a Registry of another installation, while it is that."""
        self._census.forget(key)
        self._note(key, Outcome(after=None))
        self._settled.forget(key)
        self._tell_nodes(key, Outcome(after=None))
        return self._settings.resync

    def _note(self, key: Key, outcome: Outcome) -> None:
        self._settled.rest(key, outcome.rest)
        self._references.set(key, outcome.references)
        self._keys.set(key, outcome.key_files)
        self._demand.set(key, outcome.kinds)

    def _forget(self, key: Key) -> None:
        self._census.forget(key)
        self._settled.forget(key)
        self._references.forget(key)
        self._keys.forget(key)
        self._demand.forget(key)

    def _tell_nodes(self, key: Key, outcome: Outcome) -> None:
        if self._nodes is None:
            return
        if outcome.after is None:
            self._nodes.forget(key)
        else:
            self._nodes.looked(key, outcome.entry)

    def _called(self, keys: list[Key]) -> None:
        if self._nodes is not None:
            self._nodes.listed(keys)

    def _child_watches(self) -> Iterable[Watch]:
        for kind in CHILD_KINDS:
            for namespace in self._places():
                yield self._child_watch(kind.name, namespace)

    def _pod_watches(self) -> Iterable[Watch]:
        pods, told = self._children.pods, self._queue.add
        for place in self._places():
            yield watch_pods(self._cluster, place, pods, told=told, clock=self._clock)

    def _optional_watches(self, kind: str, also: Callable[[], None]) -> Iterable[Watch]:
        for namespace in self._places():
            yield self._child_watch(kind, namespace, also)

    def _places(self) -> tuple[str | None, ...]:
        """All namespaces together, or those asked for."""
        return self._settings.namespaces or (None,)

    def _child_watch(
        self, kind: str, namespace: str | None, also: Callable[[], None] = lambda: None
    ) -> Watch:
        selection = Selection(
            kind=kind,
            namespace=namespace,
            labels=names.CHILDREN,
            metadata_only=kind == "Secret",  # their contents stay at the API server
        )

        def taken(one: Object) -> Object:
            self._changed("ADDED", one)
            place = {key: one["metadata"][key] for key in ("namespace", "name")}
            return {"kind": kind, "metadata": place}

        def listed(objects: list[Object]) -> None:
            known = {identity(one) for one in objects}
            for key in self._children.keep_only(kind, namespace, known):
                self._queue.add(key)
            also()

        return Watch(
            self._cluster,
            selection,
            listed=listed,
            changed=self._changed,
            clock=self._clock,
            kept=taken,
        )

    def _changed(self, change: str, live: Object) -> None:
        """Note a change; one odd object must not stop the watch of all others."""
        try:
            self._take(change, live)
        except Exception:  # noqa: BLE001 - see above; whoever writes a child chooses what it holds
            _log.exception("an event of a child cannot be read, it is passed over")

    def _take(self, change: str, live: Object) -> None:
        before = self._children.get(*identity(live))
        if change == "DELETED":
            self._children.drop(live)
        else:
            self._children.put(live)
        if live["kind"] == "Deployment":
            self._restarts.changed()
        bodies = (live,) if before is None else (live, before.body)
        keys = {key for body in bodies for key in keys_of(body)}
        self._access.child_changed(live, keys)
        if before is not None and before.version == live["metadata"]["resourceVersion"]:
            return  # the echo of our own write
        for key in keys:
            self._settled.told(key, identity(live), live["metadata"]["resourceVersion"])
        if identity(live)[::2] == ("ConfigMap", NAME):
            self._look_at(live["metadata"]["namespace"])

    def _look_at(self, namespace: str) -> None:
        """Look at all of a namespace: whose it is has changed."""
        for key in self._references.known():
            if key.namespace == namespace:
                self._queue.add(key)
        self._access.look_at(namespace)

    def _look_at_all(self) -> None:
        """Look at every Registry: the CA has changed."""
        for key in self._references.known():
            self._queue.add(key)
