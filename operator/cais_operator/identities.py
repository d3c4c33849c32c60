# SPDX-License-Identifier: Apache-2.0
"""The cluster as an issuer of ServiceAccounts' tokens: read, checked, and read again."""

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass

from cais_operator import desired, jwks, names
from cais_operator.cluster import Cluster, Object
from cais_operator.errors import CaisError, NotFound, Rejected
from cais_operator.jwks import Published
from cais_operator.resource import Registry
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


class Identities:
    """Knows the cluster's issuer and keys; asks for them only when a Registry needs them.

    Always at the API server itself, whatever address the issuer's description names: the operator
    goes nowhere else. Keys that were good stay until there are good new ones.
    """

    def __init__(self, cluster: Cluster, clock: Callable[[], float] = time.monotonic) -> None:
        self._cluster = cluster
        self._clock = clock
        self._lock = asyncio.Lock()
        self._said = _Said()
        self._next = float("-inf")

    async def look(self, registry: Registry, world: World) -> None:
        """Note what is known of the issuer, if the Registry names ServiceAccounts."""
        if not registry.spec.access.names_service_accounts:
            return
        said = await self._current()
        found = said.published or await self._written(registry)
        world.learn(issuer=found, issuer_problem=said.problem)

    async def _current(self) -> _Said:
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

    async def _written(self, registry: Registry) -> Published | None:
        """What stands in the Registry's own ConfigMap since a time when the API server answered."""
        name = names.config_map(registry)
        try:
            live = await self._cluster.get("ConfigMap", registry.namespace, name)
        except NotFound:
            return None
        return _read_back(live)


def _read_back(live: Object) -> Published | None:
    try:
        issuer, keys = desired.issuer_in(live)
        return Published(issuer=issuer, keys=jwks.canonical(keys.encode()))
    except (KeyError, TypeError, ValueError, json.JSONDecodeError):
        return None
