# SPDX-License-Identifier: Apache-2.0
"""An installation with several registries that run, a clock that a test moves, and its clients.

A client has the bundle that was published at some moment, and keeps it for as long as the overlap
is. After every write and every change of what is served, none of these clients may be left behind.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from cais_operator import names
from cais_operator.certificates import is_signed_by
from cais_operator.cluster import Children
from cais_operator.handshake import Served
from cais_operator.metrics import Metrics
from cais_operator.node_trust.entries import FILE, Entry, encode
from cais_operator.reconcile import Reconciler
from cais_operator.resource import Key
from cais_operator.rotation import Turns
from cais_operator.rotator import Rotator
from cais_operator.settings import Settings
from cais_operator.survey import Survey
from operator_builders import NOW, SETTINGS, body
from support.operator_bench import Bench

OVERLAP = timedelta(seconds=60)
MOST_ROUNDS = 400
CA = ("Secret", "cais-system", "cais-ca")


_SHORT = replace(SETTINGS, ca_overlap=OVERLAP)


@dataclass(slots=True, kw_only=True)
class Operator:
    """One process: what it remembers ends with it."""

    reconciler: Reconciler
    rotator: Rotator
    metrics: Metrics


@dataclass(slots=True)
class Installation(Bench):
    """See above.

    Attributes:
        running: Names of registries whose server runs.
        stuck: Names of those whose server takes no new certificate.
        served: By ClusterIP, the certificate that is served.
        published: When each bundle was published, by name of the Registry.
        authorities: Every CA certificate that was ever written.
        left_behind: What some client would have met.
        most_at_once: Registries that had a new certificate and did not serve it.
        began: When each phase of the rotation began, Steady at the end.
        stride: Seconds that the clock moves at most in a round.
        last_change: When a server took another certificate.
    """

    running: list[str] = field(default_factory=list)
    stuck: set[str] = field(default_factory=set)
    served: dict[str, str] = field(default_factory=dict)
    published: dict[str, list[tuple[datetime, str]]] = field(default_factory=dict)
    authorities: set[str] = field(default_factory=set)
    left_behind: list[str] = field(default_factory=list)
    most_at_once: int = 0
    began: list[datetime] = field(default_factory=list)
    last_change: datetime = NOW
    stride: float = 10.0
    settings: Settings = _SHORT
    _phases: tuple[bool, bool] = (False, False)

    def start(self) -> Operator:
        """A new process of the operator."""
        turns = Turns()
        metrics = Metrics(queued=lambda: 0, age=lambda: 0)
        rotator = Rotator(
            cluster=self.cluster,
            survey=Survey(self.cluster, Children(), self.handshake, self.settings, lambda _: False),
            settings=self.settings,
            turns=turns,
            metrics=metrics.authority,
            queue=lambda _: None,  # every Registry is looked at in each round
            now=lambda: self.now,
        )
        return Operator(reconciler=self.operator(turns), rotator=rotator, metrics=metrics)

    def add(self, name: str, spec: Mapping[str, Any] | None = None) -> None:
        kind = {"apiVersion": names.API_VERSION, "kind": names.KIND}
        self.cluster.put({**body(spec, name=name), **kind})

    def keys(self) -> list[Key]:
        kinds = [(kind, name) for kind, _, name in self.cluster.objects]
        return [Key("team-a", name) for kind, name in kinds if kind == names.KIND]

    async def round(self, operator: Operator, *, loads: bool = True) -> None:
        """One step of the rotation, a look at each Registry, and the kubelets' work."""
        pause = await operator.rotator.step()
        for key in self.keys():
            await operator.reconciler.reconcile(key)
        if loads:
            self.load()
        self.now += timedelta(seconds=min(self.stride, max(1.0, pause)))

    async def settle(self) -> None:
        """Make everything, and run all servers."""
        operator = self.start()
        for key in self.keys():
            await operator.reconciler.reconcile(key)
            self.run_pods(key.name)
            self.running.append(key.name)
        self.load()

    def phase(self) -> str:
        if self.ca("previous.crt"):
            return "Replacing"
        return "Publishing" if self.ca("next.crt") else "Steady"

    async def until(self, operator: Operator, phase: str) -> None:
        """Go on until the rotation is in that phase."""
        for _ in range(MOST_ROUNDS):
            if self.phase() == phase:
                return
            await self.round(operator)
        raise AssertionError(self.note(names.ROTATION))

    def load(self) -> None:
        """Let every server take the certificate that is mounted."""
        for name in self.running:
            if name not in self.stuck:
                leaf = self.text(f"{name}-tls", "tls.crt")
                if self.served.get(self.address(name)) != leaf:
                    self.served[self.address(name)] = leaf
                    self.last_change = self.now
        self.check()

    def address(self, name: str) -> str:
        found: str = self.cluster.objects["Service", "team-a", name]["spec"]["clusterIP"]
        return found

    def ca(self, key: str) -> str:
        data = self.cluster.objects[CA]["data"]
        return base64.b64decode(data.get(key, "")).decode()

    def bundle(self, name: str = "team") -> str:
        found: str = self.cluster.objects["ConfigMap", "team-a", f"{name}-ca"]["data"]["ca.crt"]
        return found

    def tell_nodes(self) -> None:
        """What tells nodes would do, with what `team` publishes now."""
        service = self.address("team")
        entry = Entry(
            namespace="team-a",
            name="team",
            addresses=(service,),
            port=names.PORT,
            authority=self.bundle(),
        )
        metadata = {"name": names.NODES_CONFIG_MAP, "namespace": "cais-system"}
        data = {FILE: encode([entry])[0]}
        self.cluster.put({"kind": "ConfigMap", "metadata": metadata, "data": data})

    def note(self, key: str) -> str:
        """An annotation of the CA's Secret; empty without it."""
        found: str = (self.cluster.objects[CA]["metadata"].get("annotations") or {}).get(key, "")
        return found

    def ask(self, word: str = "now") -> None:
        live = self.cluster.objects[CA]
        live["metadata"]["annotations"] = {
            **(live["metadata"].get("annotations") or {}),
            names.ROTATE: word,
        }
        self.cluster.put(live)

    async def handshake(self, *, host: str, ca: str) -> Served:
        if host not in self.served:
            return Served.SILENCE
        return Served.TRUSTED if is_signed_by(self.served[host], ca) else Served.ANOTHER

    def watch(self, _verb: str, kind: str, name: str) -> None:
        """See what a write has made of the world."""
        if (kind, name) == ("Secret", "cais-ca"):
            self.authorities.update(filter(None, (self.ca("tls.crt"), self.ca("next.crt"))))
            phases = (bool(self.ca("next.crt")), bool(self.ca("previous.crt")))
            if phases != self._phases:
                self._phases = phases
                self.began.append(self.now)
        if kind == "ConfigMap" and name.endswith("-ca"):
            registry = name.removesuffix("-ca")
            self.published.setdefault(registry, []).append((self.now, self.bundle(registry)))
        under_way = sum(self._is_under_way(name) for name in self.running)
        self.most_at_once = max(self.most_at_once, under_way)
        self.check()

    def _is_under_way(self, name: str) -> bool:
        return self.served.get(self.address(name)) != self.text(f"{name}-tls", "tls.crt")

    def check(self) -> None:
        for name in self.running:
            leaf = self.served.get(self.address(name))
            for known in self._known(name) if leaf else ():
                if not trusts(known, leaf or ""):
                    self.left_behind.append(f"{self.now} {name}")

    def _known(self, name: str) -> list[str]:
        """Bundles that were current within the overlap."""
        all_of_it = self.published.get(name, [])
        ends = [when for when, _ in all_of_it[1:]] + [self.now]
        pairs = zip(all_of_it, ends, strict=False)
        return [text for (_, text), end in pairs if end > self.now - OVERLAP or end == self.now]


async def installation(*others: str) -> Installation:
    """The Registry `team` and others, ready."""
    made = Installation()
    for name in ("team", *others):
        made.add(name)
    made.cluster.after = made.watch
    await made.settle()
    made.most_at_once = 0
    return made


def trusts(known: str, leaf: str) -> bool:
    """Whether a client with this bundle takes this certificate."""
    return any(is_signed_by(leaf, one) for one in split(known))


def split(text: str) -> list[str]:
    """The certificates of a bundle."""
    return [one + _END for one in text.split(_END) if one.strip()]


_END = "-----END CERTIFICATE-----\n"
