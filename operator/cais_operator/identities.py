# SPDX-License-Identifier: Apache-2.0
"""What is known of the issuers of tokens that a Registry trusts: read, checked, and read again."""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from cais_operator import desired, issuer_marks, jwks, names
from cais_operator.cluster import Cluster, Object
from cais_operator.desired.identities import CLUSTER
from cais_operator.errors import CaisError, NotFound, Problem, Rejected
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
    """What is known of one issuer.

    Attributes:
        published: Itself, when it is known.
        problem: Why it is not, or why it is not known anew.
        mark: Of what was known before and cannot be found; kept, so that it goes on being told.
        is_final: Whether what was known before does not count.
    """

    published: Published | None = None
    problem: str | None = None
    mark: str | None = None
    is_final: bool = False


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
        marks = issuer_marks.known(world.secret(names.token_keys_secret(registry)))
        found: dict[str, _Said] = {}
        if access.names_service_accounts:
            said = await self._issuer.current()
            found[CLUSTER] = await self._kept(registry, CLUSTER, said, marks)
        for issuer in access.issuers:
            said = await self._given(registry, issuer)
            found[issuer.name] = await self._kept(registry, issuer.name, said, marks)
        if found:
            _learn(world, {**found, **_clashing(registry, found)})

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
            return _Said(problem=words, is_final=True)
        try:
            keys = jwks.canonical(text.encode())
        except ValueError as error:
            return _Said(problem=f"ConfigMap {ref.name}, key {ref.key}: {error}")
        return _Said(published=Published(issuer=issuer.issuer, keys=keys))

    async def _kept(
        self, registry: Registry, name: str, said: _Said, marks: Mapping[str, str]
    ) -> _Said:
        """Fall back to what stands in the Registry's own ConfigMap since a time when all was well.

        Only to what bears the mark: others may write there, too.
        """
        if said.published is not None or said.is_final or name not in marks:
            return said
        before, config = marks[name], names.config_map(registry)
        published = _written(await self._read(registry, config), registry, name)
        if published is not None and issuer_marks.mark(published) == before:
            return replace(said, published=published)
        words = f"the keys read before are not used: ConfigMap {config} does not hold them as read"
        return replace(said, problem=f"{said.problem}; {words}", mark=before)

    async def _read(self, registry: Registry, name: str) -> Object | None:
        try:
            return await self._cluster.get("ConfigMap", registry.namespace, name)
        except NotFound:
            return None


def _written(config: Object | None, registry: Registry, name: str) -> Published | None:
    """Return what a ConfigMap says of an issuer; one of the spec is called as there."""
    own = {one.name: one.issuer for one in registry.spec.access.issuers}
    try:
        issuer, keys = desired.written(config or {}, name)
        return Published(issuer=own.get(name, issuer), keys=jwks.canonical(keys.encode()))
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def _clashing(registry: Registry, found: Mapping[str, _Said]) -> dict[str, _Said]:
    """Return those that are called as the cluster: with both, the server would take nothing.

    Not refused with the spec: the cluster may change its name, and all else has to go on.
    """
    cluster = found.get(CLUSTER, _Said()).published
    rule = "is the cluster's own issuer: name ServiceAccounts in rules, and remove this one"
    return {
        one.name: _Said(
            problem=str(
                Problem(field=f"spec.access.issuers[{at}].issuer", value=one.issuer, rule=rule)
            )
        )
        for at, one in enumerate(registry.spec.access.issuers)
        if cluster is not None and cluster.issuer == one.issuer
    }


def _learn(world: World, found: Mapping[str, _Said]) -> None:
    known = {name: said.published for name, said in found.items() if said.published is not None}
    marks = {name: said.mark for name, said in found.items() if said.mark is not None}
    marks |= {name: issuer_marks.mark(one) for name, one in known.items()}
    cluster = known.pop(CLUSTER, None)
    keys = {name: one.keys for name, one in known.items()}
    world.learn(
        issuers=Issuers(cluster=cluster, keys=keys, marks=marks),
        issuer_problems={name: said.problem for name, said in found.items() if said.problem},
    )


def key_files(registry: Registry) -> tuple[str, ...]:
    """Return the names of the ConfigMaps with keys that the spec refers to, each once."""
    return tuple(dict.fromkeys(issuer.jwks_ref.name for issuer in registry.spec.access.issuers))
