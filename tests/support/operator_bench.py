# SPDX-License-Identifier: Apache-2.0
import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from cais_operator import desired, names
from cais_operator.cluster import Children
from cais_operator.consumers import Directory
from cais_operator.observed import ServerState
from cais_operator.reconcile import Reconciler
from cais_operator.registry_api import Way
from cais_operator.resource import Key
from cais_operator.restarts import Restarts
from cais_operator.rotation import Turns
from operator_builders import NOW, SETTINGS, body, nobody_else
from support.children import CHILDREN
from support.fake_cluster import FakeCluster

KEY = Key("team-a", "team")
USAGE = {
    "repositories": 0,
    "tags": 0,
    "bytes": 0,
    "bytesReclaimable": 0,
    "disk": {"capacity": 1 << 30, "available": 1 << 29, "reserve": 50 << 20},
    "storagePressure": False,
}


@dataclass(slots=True)
class StubServer:
    """A registry server that has loaded what it was told."""

    files: Mapping[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    gc: Mapping[str, Any] = field(default_factory=lambda: {"last": None})
    collections: list[bool] = field(default_factory=list)
    refuses: str | None = None

    usage: Mapping[str, Any] = field(default_factory=lambda: USAGE)
    ways: list[Way] = field(default_factory=list)
    error: str | None = None

    async def state(self, way: Way) -> ServerState:
        assert way.ca is None or way.ca.startswith("-----BEGIN CERTIFICATE-----")
        assert way.password
        self.asked.append(way.host)
        self.ways.append(way)
        if self.error is not None:
            return ServerState(error=self.error, is_untrusted=True)
        return ServerState(files=self.files, usage=self.usage, gc=self.gc)

    async def collect(self, way: Way, *, dry_run: bool) -> str | None:
        assert (way.host, bool(way.ca), bool(way.password)) == ("10.96.0.7", True, True)
        if self.refuses is None:
            self.collections.append(dry_run)
        return self.refuses


@dataclass(slots=True)
class Bench:
    """A cluster, a server, and an operator that can be started anew."""

    cluster: FakeCluster = field(default_factory=FakeCluster)
    server: StubServer = field(default_factory=StubServer)
    now: datetime = NOW

    def operator(self, turns: Turns | None = None) -> Reconciler:
        children = Children()
        return Reconciler(
            cluster=self.cluster,
            children=children,
            directory=Directory(),
            server=self.server,
            settings=SETTINGS,
            turns=turns or Turns(),
            restarts=Restarts(children, SETTINGS, lambda _: None),
            take=nobody_else,
            now=lambda: self.now,
        )

    async def settle(self) -> None:
        operator = self.operator()
        for _ in range(3):
            await operator.reconcile(KEY)

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = self.cluster.objects[names.KIND, "team-a", "team"]["status"]
        return found

    def condition(self, kind: str) -> dict[str, Any]:
        return next((one for one in self.status()["conditions"] if one["type"] == kind), {})

    def written(self) -> dict[str, str]:
        """The files of the ConfigMap with the server's configuration."""
        data: dict[str, str] = self.cluster.objects["ConfigMap", "team-a", "team-config"]["data"]
        return data

    def access(self) -> dict[str, Any]:
        """What the server's configuration says about access."""
        found: dict[str, Any] = json.loads(self.written()["server.yaml"])["access"]
        return found

    def text(self, secret: str, key: str = "password", namespace: str = "team-a") -> str:
        data = self.cluster.objects["Secret", namespace, secret]["data"]
        return base64.b64decode(data[key]).decode()

    async def serve(self) -> None:
        """Let the pods run and the server load what it was given; then look."""
        self.load()
        await self.operator().reconcile(KEY)

    def load(self) -> None:
        """Let the pods run and the server load what it was given."""
        self.load_of("team")

    def load_of(self, name: str) -> None:
        """The same of another Registry."""
        self.run_pods(name)
        objects = self.cluster.objects
        users = objects["Secret", "team-a", f"{name}-users"]
        keys = objects["Secret", "team-a", f"{name}-token-keys"]
        config = objects["ConfigMap", "team-a", f"{name}-config"]
        has_tls = "tls" in json.loads(config["data"]["server.yaml"])
        tls = objects["Secret", "team-a", f"{name}-tls"] if has_tls else None
        self.server.files = desired.loaded_files(config, users, tls, keys)

    def run_pods(self, name: str = "team") -> None:
        """What the controllers and the kubelet would do."""
        claim = {"phase": "Bound", "capacity": {"storage": "10Gi"}}
        self.cluster.change("PersistentVolumeClaim", f"{name}-data", status=claim)
        deployment = self.cluster.objects["Deployment", "team-a", name]
        status = {
            "observedGeneration": deployment["metadata"]["generation"],
            "availableReplicas": 1,
            "updatedReplicas": 1,
        }
        self.cluster.change("Deployment", name, status=status)


def bench(spec: Mapping[str, Any] | None = None) -> Bench:
    made = Bench()
    made.cluster.put({**body(spec), "apiVersion": names.API_VERSION, "kind": names.KIND})
    return made


EVERYTHING = frozenset(CHILDREN)


def children(made: Bench) -> set[tuple[str, str]]:
    skipped = (names.KIND, "Event")
    return {
        (kind, name)
        for kind, namespace, name in made.cluster.objects
        if namespace == "team-a" and kind not in skipped
    }
