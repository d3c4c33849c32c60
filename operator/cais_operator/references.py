# SPDX-License-Identifier: Apache-2.0
"""Objects of others that specs refer to: watched one by name, for as long as someone refers.

They carry no label of ours, and listing all Secrets of a cluster is what the operator avoids.
"""

import asyncio
from collections.abc import Callable, Iterable

from cais_operator.cluster import Cluster, Object, Selection, Watch
from cais_operator.queue import WorkQueue
from cais_operator.resource import Key

Place = tuple[str, str]  # namespace, name


class References:
    """Who refers to which object of a kind, and a watch for each of those."""

    def __init__(
        self,
        cluster: Cluster,
        queue: WorkQueue,
        clock: Callable[[], float],
        *,
        kind: str = "Secret",
    ) -> None:
        self._kind = kind
        self._cluster = cluster
        self._queue = queue
        self._clock = clock
        self._of: dict[Key, tuple[str, ...]] = {}
        self._tasks: dict[Place, asyncio.Task[None]] = {}
        self._group: asyncio.TaskGroup | None = None

    def start(self, group: asyncio.TaskGroup) -> None:
        """Say where the watches run."""
        self._group = group

    def known(self) -> Iterable[Key]:
        """Return every Registry that was looked at and is still there, or is being looked at."""
        return {*self._of, *self._queue.active()}

    def set(self, key: Key, referred: tuple[str, ...]) -> None:
        """Note what a Registry refers to now; start and stop watches accordingly."""
        before = {(key.namespace, name) for name in self._of.get(key, ())}
        self._of[key] = referred
        after = {(key.namespace, name) for name in referred}
        for place in after - self._tasks.keys():
            self._start(place)
        for place in before - after:
            self._stop_unused(place)

    def forget(self, key: Key) -> None:
        """Note that a Registry is gone."""
        self.set(key, ())
        del self._of[key]

    def _start(self, place: Place) -> None:
        if self._group is None:
            return
        namespace, name = place
        selection = Selection(
            kind=self._kind,
            namespace=namespace,
            fields=f"metadata.name={name}",
            metadata_only=True,
        )

        def changed(*_: object) -> None:
            for key in {*self._users(place), *self._active(namespace)}:
                self._queue.add(key)

        def listed(objects: list[Object]) -> None:
            changed(objects)

        watch = Watch(self._cluster, selection, listed=listed, changed=changed, clock=self._clock)
        self._tasks[place] = self._group.create_task(watch.run())

    def _stop_unused(self, place: Place) -> None:
        if not any(True for _ in self._users(place)):
            self._tasks.pop(place).cancel()

    def _active(self, namespace: str) -> Iterable[Key]:
        """Yield who is being looked at: what it refers to is known at the end, and read before."""
        return (key for key in self._queue.active() if key.namespace == namespace)

    def _users(self, place: Place) -> Iterable[Key]:
        namespace, name = place
        return (
            key
            for key, secrets in self._of.items()
            if key.namespace == namespace and name in secrets
        )
