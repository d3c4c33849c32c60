# SPDX-License-Identifier: Apache-2.0
"""Tells the nodes of the registries: one ConfigMap, which a pod on each node has mounted.

What is published comes from reconciles that went well. Until every Registry was looked at once,
nothing is published: a list that is not whole would make nodes forget registries that are there.
For a Registry that cannot be looked at (paused, refused, out of reach) what was published stays.
"""

import asyncio
import contextlib
import logging
import zlib
from collections.abc import Awaitable, Callable, Iterable

from cais_operator import names
from cais_operator.cluster import Cluster, Selection
from cais_operator.errors import CaisError, NotFound
from cais_operator.node_trust.entries import FILE, Entry, decode, encode
from cais_operator.resource import Key, Registry
from cais_operator.waiting import woken
from cais_operator.world import World, cluster_ips

_TOGETHER = 0.5  # seconds in which further changes are waited for
_PAUSE = 5.0  # seconds after a failure
_MOST_NUDGED = 100  # pods; where there are more, kubelets come by themselves, within two minutes
_log = logging.getLogger(__name__)


def entry_of(registry: Registry, world: World) -> Entry | None:
    """Return how nodes reach a registry, from what was written; None when that is not there yet."""
    service = world.bodies.get(("Service", names.service(registry)))
    bundle = world.bodies.get(("ConfigMap", names.ca_config_map(registry)))
    is_issued = not registry.spec.tls.is_disabled and names.brought_secret(registry) is None
    if service is None or (bundle is None and is_issued):
        return None
    try:
        return Entry(
            namespace=registry.namespace,
            name=registry.name,
            addresses=cluster_ips(service),
            port=names.PORT,
            scheme=names.scheme(registry),
            authority=((bundle or {}).get("data") or {}).get("ca.crt", ""),
        )
    except ValueError as error:
        _log.warning("nodes cannot be told of it: %s", error, extra={"key": registry.key})
        return None


class Nodes:
    """Keeps the ConfigMap as the reconciles say."""

    def __init__(self, cluster: Cluster, namespace: str, resync: float) -> None:
        self._cluster = cluster
        self._namespace = namespace
        self._resync = resync
        self._entries: dict[Key, Entry] = {}  # in the order in which nodes were told of them
        self._there: set[Key] = set()
        self._unseen: set[Key] | None = None  # listed at the start, and not looked at yet
        self._changed = asyncio.Event()

    def listed(self, keys: Iterable[Key]) -> None:
        """Note which Registries there are; the first list says what has to be looked at."""
        if self._unseen is None:
            keys = set(keys)
            self._unseen = keys - self._there
            self._there |= keys
            self._changed.set()

    def looked(self, key: Key, entry: Entry | None) -> None:
        """Note that a Registry was looked at; without an entry what is known of it stays."""
        self._there.add(key)
        if entry is not None:
            self._entries[key] = entry
        self._seen(key)

    def forget(self, key: Key) -> None:
        """Note that a Registry is gone."""
        self._there.discard(key)
        self._entries.pop(key, None)
        self._seen(key)

    async def run(self) -> None:
        """Never returns."""
        while not await self._tried(self._take_over):  # noqa: ASYNC110 - the API server is asked
            await asyncio.sleep(_PAUSE)
        while True:
            await woken(self._changed, self._resync)
            await asyncio.sleep(_TOGETHER)
            self._changed.clear()
            if not await self._tried(self._publish):
                await asyncio.sleep(_PAUSE)
                self._changed.set()

    def _seen(self, key: Key) -> None:
        if self._unseen is not None:
            self._unseen.discard(key)
        self._changed.set()

    async def _tried(self, act: Callable[[], Awaitable[None]]) -> bool:
        try:
            await act()
        except CaisError as error:
            _log.warning("the nodes cannot be told of the registries: %s", error)
            return False
        return True

    async def _take_over(self) -> None:
        """Begin with what nodes were told last; what was looked at meanwhile is newer."""
        text = await self._read()
        try:
            told = decode(text) if text else ()
        except ValueError as error:
            _log.warning("%s is made anew: %s", names.NODES_CONFIG_MAP, error)
            told = ()
        self._entries = {Key(one.namespace, one.name): one for one in told} | self._entries

    async def _publish(self) -> None:
        if self._unseen is None or self._unseen:
            return
        entries = [entry for key, entry in self._entries.items() if key in self._there]
        text, left_out = encode(entries)
        if left_out:
            _log.error("%d registries have no room in %s", left_out, names.NODES_CONFIG_MAP)
        if await self._read() == text:
            return
        metadata = {"name": names.NODES_CONFIG_MAP, "namespace": self._namespace}
        manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}
        await self._cluster.apply({**manifest, "data": {FILE: text}})
        _log.info("nodes are told of %d registries", len(entries) - left_out)
        await self._nudge(f"{zlib.crc32(text.encode()):08x}")

    async def _read(self) -> str | None:
        try:
            found = await self._cluster.get("ConfigMap", self._namespace, names.NODES_CONFIG_MAP)
        except NotFound:
            return None
        text = (found.get("data") or {}).get(FILE)
        return str(text) if text else None

    async def _nudge(self, mark: str) -> None:
        """Touch the nodes' pods: their kubelets then bring the new list at once."""
        labels = f"app.kubernetes.io/name={names.NODE_TRUST}"
        selection = Selection(kind="Pod", namespace=self._namespace, labels=labels)
        pods, _ = await self._cluster.list(selection)
        for pod in pods[:_MOST_NUDGED]:
            change = {"metadata": {"annotations": {names.NUDGE: mark}}}
            with contextlib.suppress(NotFound):
                await self._cluster.patch("Pod", self._namespace, pod["metadata"]["name"], change)
