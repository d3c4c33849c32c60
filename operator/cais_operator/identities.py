# SPDX-License-Identifier: Apache-2.0
"""What is known of the issuers of tokens that a Registry trusts: read, checked, and read again."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from cais_operator import desired, jwks, names
from cais_operator.cluster import Cluster, Object
from cais_operator.errors import CaisError, NotFound, Rejected
from cais_operator.jwks import Issuers, Published
from cais_operator.resource import Issuer, Registry
from cais_operator.world import World

DISCOVERY, KEYS = "/.well-known/openid-configuration", "/openid/v1/jwks"

_FRESH = 230.0  # seconds; a little less than the shortest time between two looks at a Registry
_PAUSE = 10.0  # seconds between two tries
_ADVICE = (
    "bind the ClusterRole system:service-account-issuer-discovery to the operator's ServiceAccount"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Said:
    published: Published | None = None
    problem: str | None = None


class ClusterIssuer:
    """The cluster as an issuer; asked only when a Registry needs it.

    Always at the API server itself, whatever address the issuer's description names: the operator
    goes nowhere else. Keys that were good stay until there are good new ones.
    """

    def __init__(self, cluster: Cluster, clock: Callable[[], float]) -> None:
        self._cluster = cluster
        self._clock = clock
        self._lock = asyncio.Lock()
        self._said = _Said()
        self._next = float("-inf")

    async def current(self) -> _Said:
        """Return issuer and keys, not much older than a few minutes, and what is wrong."""
        async with self._lock:  # of many Registries one asks
            if self._clock() >= self._next:
                self._said = await self._ask()
                pause = _PAUSE if self._said.problem else _FRESH
                self._next = self._clock() + pause
            return self._said

    async def _ask(self) -> _Said:
        try:
            documents = [
                await self._cluster.document(path, most=jwks.LARGEST) for path in (DISCOVERY, KEYS)
            ]
            return _Said(published=jwks.published(*documents))
        except Rejected as refused:
            problem = f"{refused}; {_ADVICE}"
        except (CaisError, ValueError) as error:
            problem = str(error)
        return _Said(published=self._said.published, problem=problem)


class Identities:
    """Notes in the world of a Registry which issuers are known, and what is wrong with others."""

    def __init__(self, cluster: Cluster, clock: Callable[[], float] = time.monotonic) -> None:
        self._cluster = cluster
        self._issuer = ClusterIssuer(cluster, clock)

    async def look(self, registry: Registry, world: World) -> None:
        """Look for the issuers that the spec needs."""
        access = registry.spec.access
        published, keys, problems = None, {}, {}
        if access.names_service_accounts:
            said = await self._issuer.current()
            published = said.published or await self._written(registry, None)
            if said.problem is not None:
                problems[""] = said.problem
        for issuer in access.issuers:
            found = await self._given(registry, issuer)
            if found.published is not None:
                keys[issuer.name] = found.published.keys
            if found.problem is not None:
                problems[issuer.name] = found.problem
        if published is not None or keys or problems:
            world.learn(issuers=Issuers(cluster=published, keys=keys), issuer_problems=problems)

    async def _given(self, registry: Registry, issuer: Issuer) -> _Said:
        """The keys that a ConfigMap holds; broken ones do not take the place of good ones.

        Those of a ConfigMap that is gone are gone, too: that is how trust is taken back.
        """
        ref = issuer.jwks_ref
        live = await self._read(registry, ref.name)
        text = ((live or {}).get("data") or {}).get(ref.key)
        if text is None:
            words = (
                f"there is no ConfigMap {ref.name} with the key {ref.key} in this namespace: "
                "create it with the issuer's public keys (JWKS)"
            )
            return _Said(problem=words)
        try:
            keys = jwks.canonical(text.encode())
        except ValueError as error:
            before = await self._written(registry, issuer.name)
            is_same = before is not None and before.issuer == issuer.issuer
            problem = f"ConfigMap {ref.name}, key {ref.key}: {error}"
            return _Said(published=before if is_same else None, problem=problem)
        return _Said(published=Published(issuer=issuer.issuer, keys=keys))

    async def _written(self, registry: Registry, prefix: str | None) -> Published | None:
        """What stands in the Registry's own ConfigMap since a time when all was well."""
        live = await self._read(registry, names.config_map(registry))
        try:
            issuer, keys = desired.written(live or {}, prefix)
            return Published(issuer=issuer, keys=jwks.canonical(keys.encode()))
        except (KeyError, TypeError, ValueError, AttributeError):
            return None

    async def _read(self, registry: Registry, name: str) -> Object | None:
        try:
            return await self._cluster.get("ConfigMap", registry.namespace, name)
        except NotFound:
            return None


def key_files(registry: Registry) -> tuple[str, ...]:
    """Return the names of the ConfigMaps with keys that the spec refers to, each once."""
    return tuple(dict.fromkeys(issuer.jwks_ref.name for issuer in registry.spec.access.issuers))
