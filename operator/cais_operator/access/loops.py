# SPDX-License-Identifier: Apache-2.0
"""What runs all the time for consumers: watches feed a queue of their own, workers empty it."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any

from cais_operator import names
from cais_operator.access.pullers import MARKED, added
from cais_operator.access.reconcile import AccessReconciler
from cais_operator.cluster import Cluster, Object, Selection, Watch
from cais_operator.consumers import Directory
from cais_operator.installation import Installation
from cais_operator.metrics import Metrics
from cais_operator.queue import WorkQueue
from cais_operator.resource import Key
from cais_operator.settings import Settings
from cais_operator.workers import Workers

_log = logging.getLogger(__name__)
_WORKERS = 4
_SERVES = (
    "Service",
    "ConfigMap",
    "Secret",
)  # children of a Registry that consumers are served from


class AccessLoops:
    """Built once.

    Attributes:
        queue: Keys of RegistryAccesses.
        watches: All of them have to be synced before anything is decided.
    """

    def __init__(  # noqa: PLR0913 - built in one place
        self,
        *,
        cluster: Cluster,
        directory: Directory,
        registries: WorkQueue,
        reconciler: AccessReconciler,
        installation: Installation,
        metrics: Metrics,
        settings: Settings,
        clock: Callable[[], float],
    ) -> None:
        self._cluster = cluster
        self._directory = directory
        self._registries = registries
        self._reconciler = reconciler
        self._installation = installation
        self._settings = settings
        self._clock = clock
        self.queue = WorkQueue(clock)
        self._workers = Workers(self.queue, metrics, self._look)
        self.watches = tuple(self._all_watches())

    def start(self, group: asyncio.TaskGroup) -> None:
        """Start to work; the watches run and are synced."""
        self._workers.start(group, _WORKERS)

    def look_at(self, namespace: str) -> None:
        """Look at everything in a namespace."""
        for key in self._directory.known(namespace):
            self.queue.add(key)

    def registry_changed(self, registry: Key) -> None:
        """Look at everything that names a Registry: its owner may allow something else now."""
        for access in self._directory.of(registry):
            self.queue.add(access.key)

    def child_changed(self, live: Mapping[str, Any], registries: Iterable[Key]) -> None:
        """Look at what a changed child of Registries, or a consumer's Secret, has to do with.

        Args:
            live: The object.
            registries: Whose child it may be.
        """
        metadata = live["metadata"]
        access = (metadata.get("labels") or {}).get(names.ACCESS)
        owners = metadata.get("ownerReferences") or ()
        ours = {one.get("name") for one in owners if one.get("kind") == names.ACCESS_KIND}
        for name in filter(None, {access, *ours}):
            self.queue.add(Key(metadata["namespace"], name))
        if live["kind"] in _SERVES:
            for registry in registries:
                self.registry_changed(registry)

    async def _look(self, key: Key) -> float | None:
        if self._installation.is_anothers(key.namespace):
            return self._settings.resync
        after = await self._reconciler.reconcile(key)
        if after is None:
            await self._installation.leave(names.ACCESS_KIND, key)
        return after

    def _all_watches(self) -> Iterator[Watch]:
        for place in self._settings.namespaces or (None,):
            accesses = Selection(kind=names.ACCESS_KIND, namespace=place)
            yield self._watch(accesses, partial(self._accesses_listed, place), self._access_changed)
            pullers = Selection(
                kind="ServiceAccount", namespace=place, labels=MARKED, metadata_only=True
            )
            yield self._watch(pullers, self._pullers_listed, self._puller_changed)
        if not self._settings.namespaces:  # else there is no right to, and `plan` refuses labels
            namespaces = Selection(kind="Namespace", metadata_only=True)
            yield self._watch(namespaces, self._namespaces_listed, self._namespace_changed)

    def _watch(
        self,
        selection: Selection,
        listed: Callable[[list[Object]], None],
        changed: Callable[[str, Object], None],
    ) -> Watch:
        def take(change: str, live: Object) -> None:
            try:
                changed(change, live)
            except Exception:  # noqa: BLE001 - one odd object must not stop the watch of all others
                _log.exception("an event of a %s cannot be read", selection.kind)

        return Watch(self._cluster, selection, listed=listed, changed=take, clock=self._clock)

    def _accesses_listed(self, namespace: str | None, found: list[Object]) -> None:
        for one in found:
            self._access_changed("ADDED", one)
        listed = {_key(one) for one in found}
        for key in self._directory.known(namespace) - listed:
            self._gone(key)

    def _access_changed(self, change: str, live: Object) -> None:
        key = _key(live)
        if change == "DELETED":
            self._gone(key)
            return
        for registry in self._directory.take(live):
            self._registries.add(registry)
        self.queue.add(key)

    def _gone(self, key: Key) -> None:
        for registry in self._directory.drop(key):
            self._registries.add(registry)
        self.queue.add(key)

    def _pullers_listed(self, found: list[Object]) -> None:
        for one in found:
            self._puller_changed("ADDED", one)

    def _puller_changed(self, _change: str, live: Object) -> None:
        namespace = live["metadata"]["namespace"]
        noted = {Key(namespace, name) for name in added(live)}
        for key in noted | self._directory.known(namespace):
            self.queue.add(key)

    def _namespaces_listed(self, found: list[Object]) -> None:
        for one in found:
            self._namespace_changed("ADDED", one)
        listed = {one["metadata"]["name"] for one in found}
        for name in self._directory.namespaces() - listed:
            self._relabelled(name, None)

    def _namespace_changed(self, change: str, live: Object) -> None:
        metadata = live["metadata"]
        labels = None if change == "DELETED" else metadata.get("labels") or {}
        self._relabelled(metadata["name"], labels)

    def _relabelled(self, namespace: str, labels: Mapping[str, str] | None) -> None:
        if not self._directory.relabel(namespace, labels):
            return
        keys = self._directory.known(namespace)
        for key in keys:
            self.queue.add(key)
        for registry in self._directory.registries(keys):
            self._registries.add(registry)


def _key(live: Mapping[str, Any]) -> Key:
    return Key(live["metadata"]["namespace"], live["metadata"]["name"])
