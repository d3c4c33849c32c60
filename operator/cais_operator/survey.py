# SPDX-License-Identifier: Apache-2.0
"""What all Registries together publish and serve, while one CA takes the place of another."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cais_operator import certificates, names, resource
from cais_operator.certificates import Authority
from cais_operator.cluster import Children, Cluster, Object, Selection
from cais_operator.errors import InvalidSpec, NotFound
from cais_operator.handshake import Handshake, Served
from cais_operator.node_trust.entries import FILE, decode
from cais_operator.observed import has_serving_pod
from cais_operator.resource import Key, Registry
from cais_operator.settings import Settings
from cais_operator.world import cluster_ips

_AT_ONCE = 16  # requests and handshakes


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A Registry that is not where the rotation wants it.

    Attributes:
        key: Which.
        why: For a person.
        is_held: Whether the operator may not change it (paused, an invalid spec).
        is_issued: Whether its Secret has a certificate of the new CA already.
        is_running: Whether a server of it runs.
        is_sure: Whether clients were seen to get, or would get, the old state; else nobody knows.
    """

    key: Key
    why: str
    is_held: bool = False
    is_issued: bool = False
    is_running: bool = True
    is_sure: bool = True


class Survey:
    """Looks at every Registry, and remembers nothing."""

    def __init__(
        self,
        cluster: Cluster,
        children: Children,
        handshake: Handshake,
        settings: Settings,
        is_anothers: Callable[[str], bool],
    ) -> None:
        """Say with what it looks.

        Args:
            cluster: Where the Registries are.
            children: What is known of theirs.
            handshake: Shows what a server serves.
            settings: For the namespaces.
            is_anothers: Tells whether another installation looks after a namespace.
        """
        self._cluster = cluster
        self._children = children
        self._handshake = handshake
        self._settings = settings
        self._is_anothers = is_anothers

    async def unpublished(self, authority: Authority, now: datetime) -> tuple[Waiting, ...]:
        """Return whose clients would not find the whole bundle."""
        nodes = await self._told_to_nodes()

        async def judge(one: _One) -> Waiting | None:
            name = names.ca_config_map(one.registry)
            shown = (await self._child("ConfigMap", one.key, name)).get("data") or {}
            is_told = nodes.get(one.key, authority.bundle) == authority.bundle
            is_shown = shown.get("ca.crt") == authority.bundle
            if is_shown and is_told:
                return None
            leaf = await self._leaf(one)
            if leaf is None or _is_none_of_ours(leaf, authority, now):
                return None
            lags = names.NODES_CONFIG_MAP if is_shown else name
            why = one.held or f"the ConfigMap {lags} does not have the new CA yet"
            return Waiting(key=one.key, why=why, is_held=bool(one.held))

        return await self._each(judge)

    async def unserved(self, authority: Authority, now: datetime) -> tuple[Waiting, ...]:
        """Return whose servers do not serve a certificate of the CA that signs now."""

        async def judge(one: _One) -> Waiting | None:
            host = await self._address(one)
            served = Served.SILENCE
            if host is not None:
                served = await self._handshake(host=host, ca=authority.certificate)
            if served is Served.TRUSTED:
                return None
            leaf = await self._leaf(one)
            if leaf is not None and _is_none_of_ours(leaf, authority, now):
                return None
            is_issued = leaf is not None and certificates.is_signed_by(leaf, authority.certificate)
            if host is None and (is_issued or leaf is None):  # what starts takes it from there
                return None
            return _unserved(one, served, is_issued=is_issued, is_running=host is not None)

        return await self._each(judge)

    async def _each(
        self, judge: Callable[["_One"], Awaitable[Waiting | None]]
    ) -> tuple[Waiting, ...]:
        gate = asyncio.Semaphore(_AT_ONCE)

        async def one(which: "_One") -> Waiting | None:
            async with gate:
                return await judge(which)

        found = await asyncio.gather(*(one(which) for which in await self._registries()))
        return tuple(waiting for waiting in found if waiting is not None)

    async def _registries(self) -> list["_One"]:
        found: list[_One] = []
        for namespace in self._settings.namespaces or (None,):
            bodies, _ = await self._cluster.list(Selection(kind=names.KIND, namespace=namespace))
            found.extend(_one(body) for body in bodies if _is_there(body))
        issued = [
            one
            for one in found
            if one.registry.spec.tls.is_issued and not self._is_anothers(one.key.namespace)
        ]
        return sorted(issued, key=lambda one: (one.key.namespace, one.key.name))

    async def _told_to_nodes(self) -> Mapping[Key, str]:
        """Return the bundle that nodes are told for each registry; empty where none are told."""
        if not self._settings.node_trust:
            return {}
        place = Key(self._settings.node_trust, names.NODES_CONFIG_MAP)
        text = ((await self._get("ConfigMap", place, place.name)).get("data") or {}).get(FILE)
        try:
            entries = decode(text) if text else ()
        except ValueError:  # it is written anew, and nodes believe nothing of it
            entries = ()
        return {Key(one.namespace, one.name): one.authority for one in entries}

    async def _leaf(self, one: "_One") -> str | None:
        """Return the certificate that is mounted; None when there is none that can be read."""
        live = await self._get("Secret", one.key, names.tls_secret(one.registry))
        try:
            pem = certificates.text_in(live, "tls.crt")
            certificates.facts(pem)
        except ValueError:
            return None
        return pem

    async def _address(self, one: "_One") -> str | None:
        """Return where a running server is reached; None when none runs."""
        deployment = await self._child("Deployment", one.key, names.deployment(one.registry))
        if not has_serving_pod(deployment):
            return None
        service = await self._child("Service", one.key, names.service(one.registry))
        return next(iter(cluster_ips(service)), None)

    async def _child(self, kind: str, key: Key, name: str) -> Object:
        known = self._children.get(kind, key.namespace, name)
        return known.body if known is not None else await self._get(kind, key, name)

    async def _get(self, kind: str, key: Key, name: str) -> Object:
        """Return an object; an empty one when it is not there."""
        try:
            return await self._cluster.get(kind, key.namespace, name)
        except NotFound:
            return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class _One:
    """A Registry, as far as it can be read, and why the operator may not change it."""

    registry: Registry
    held: str

    @property
    def key(self) -> Key:
        return self.registry.key


def _one(body: Object) -> _One:
    try:
        registry = resource.parse(body)
    except InvalidSpec:
        metadata = body["metadata"]
        key = Key(metadata["namespace"], metadata["name"])
        bare = Registry(key=key, uid=metadata["uid"], generation=0, resource_version="")
        return _One(registry=bare, held="its spec is not valid")
    return _One(registry=registry, held="spec.paused" if registry.spec.paused else "")


def _is_there(body: Mapping[str, Any]) -> bool:
    return "deletionTimestamp" not in body["metadata"]


def _is_none_of_ours(leaf: str, authority: Authority, now: datetime) -> bool:
    """Whether no client of this installation's CA takes a certificate for good anyway."""
    ours = filter(None, (authority.certificate, authority.former))
    has_ended = certificates.facts(leaf).not_after <= now
    return has_ended or not any(certificates.is_signed_by(leaf, one) for one in ours)


def _unserved(one: _One, served: Served, *, is_issued: bool, is_running: bool) -> Waiting:
    why = "its turn comes"
    if one.held:
        why = one.held
    elif not is_running:
        why = "its server does not run, and its Secret has the old certificate still"
    elif served is Served.SILENCE:
        why = "its server does not answer a TLS handshake"
    elif is_issued:
        why = "its server does not serve the new certificate yet"
    return Waiting(
        key=one.key,
        why=why,
        is_held=bool(one.held),
        is_issued=is_issued,
        is_running=is_running,
        is_sure=served is Served.ANOTHER or not is_issued,
    )
