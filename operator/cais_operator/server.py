# SPDX-License-Identifier: Apache-2.0
"""The way to a Registry's server: ask what it has loaded, and hurry its files when it lags."""

import asyncio
import base64
import hashlib
import json
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import replace

from cais_operator import brought, certificates, credentials, desired, names, servers
from cais_operator.cluster import Cluster, Object
from cais_operator.errors import NotFound
from cais_operator.observed import ServerState, has_serving_pod
from cais_operator.registry_api import RegistryApi, Way
from cais_operator.resource import Registry
from cais_operator.world import Observer, World, cluster_ips

_NUDGE_PAUSE = 10  # seconds between two touches of the same pod for the same files
_log = logging.getLogger(__name__)


class Server:
    """Asks one registry server, as often as it is told to."""

    def __init__(
        self,
        cluster: Cluster,
        observer: Observer,
        api: RegistryApi,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._cluster = cluster
        self._observer = observer
        self._api = api
        self._clock = clock

    async def ask(self, registry: Registry, world: World, *, may_nudge: bool) -> None:
        """Add the server's answer to the world, when there is a server to ask."""
        world.way = way = _way(registry, world)
        if way is None:
            return
        state = await self._state(registry, way)
        if state is None:
            return
        world.learn(server=state)
        if may_nudge and _lags(world.observed.wanted_files, state):
            await self._nudge(registry, world.observed.wanted_files)

    async def _state(self, registry: Registry, way: Way) -> ServerState | None:
        """Ask the server, or each of several: only together they tell what clients meet."""
        if registry.spec.storage.mounted is not None:
            return await self._api.state(way)
        pods = [pod for pod in await self._observer.pods(registry) if servers.serves(pod)]
        ways = [replace(way, host=pod["status"]["podIP"]) for pod in pods]
        states = await asyncio.gather(*(self._api.state(one) for one in ways))
        called = [pod["metadata"]["name"] for pod in pods]
        return servers.together(dict(zip(called, states, strict=True)))

    async def collect(self, registry: Registry, world: World, *, dry_run: bool) -> bool:
        """Start a garbage collection; False when the server cannot be asked, or refuses."""
        way = _way(registry, world)
        if way is None:
            return False
        failure = await self._api.collect(way, dry_run=dry_run)
        if failure is not None:
            _log.warning("no garbage collection: %s", failure, extra={"key": registry.key})
        return failure is None

    async def _nudge(self, registry: Registry, wanted: Mapping[str, str]) -> None:
        """Touch the pods, which makes the kubelet refresh their files now and not in a minute."""
        digest = hashlib.sha256(json.dumps(wanted, sort_keys=True).encode()).hexdigest()[:12]
        now = int(self._clock())
        for pod in await self._observer.pods(registry):
            if not _due(pod, digest, now):
                continue
            metadata = pod["metadata"]
            change = {"metadata": {"annotations": {names.NUDGE: f"{digest}.{now}"}}}
            try:
                await self._cluster.patch("Pod", metadata["namespace"], metadata["name"], change)
            except NotFound:
                continue
            _log.info("nudged pod %s", metadata["name"], extra={"key": registry.key})


def _way(registry: Registry, world: World) -> Way | None:
    """How to reach the server; None while there is none to reach."""
    ips = cluster_ips(world.bodies.get(("Service", names.service(registry)), {}))
    ca = None if registry.spec.tls.is_disabled else _trusted(registry, world)
    password = credentials.password_in(world.secret(names.gc_secret(registry)))
    deployment = world.bodies.get(("Deployment", names.deployment(registry)))
    if not ips or ca == "" or password is None or not has_serving_pod(deployment):
        return None
    return Way(host=ips[0], name=_called(registry, world), ca=ca, password=password)


def way_of_jobs(registry: Registry, world: World, tls: Object | None) -> desired.Way:
    """How the garbage collection's pods reach the server: by another name they need an address."""
    host = brought.reached_by(registry, certificates.facts_in(tls))
    is_ours = tls is None or names.TRUST_KEY not in tls["data"]
    service = world.bodies.get(("Service", names.service(registry)), {})
    return desired.Way(
        host=host,
        ip=None if host == names.inside(registry) else next(iter(cluster_ips(service)), None),
        trust_key="ca.crt" if is_ours else names.TRUST_KEY,
    )


def _trusted(registry: Registry, world: World) -> str:
    """Return the PEM with which the server is verified; empty while there is no certificate."""
    data = (world.secret(names.tls_secret(registry)) or {}).get("data") or {}
    try:
        return base64.b64decode(data.get(names.TRUST_KEY) or data["ca.crt"]).decode()
    except (KeyError, ValueError):
        return ""


def _called(registry: Registry, world: World) -> str:
    said = certificates.facts_in(world.secret(names.tls_secret(registry)))
    return brought.reached_by(registry, said)


def _lags(wanted: Mapping[str, str], state: ServerState) -> bool:
    if state.is_untrusted:  # it may still serve the certificate before
        return True
    if state.error is not None or state.config_error is not None:
        return False
    return any(state.files.get(path) != digest for path, digest in wanted.items())


def _due(pod: Object, digest: str, now: int) -> bool:
    """Judge whether a pod was not touched for these files, or too long ago."""
    before = (pod["metadata"].get("annotations") or {}).get(names.NUDGE, "")
    for_what, _, when = before.partition(".")
    return for_what != digest or not when.isdigit() or now - int(when) >= _NUDGE_PAUSE
