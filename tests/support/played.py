# SPDX-License-Identifier: Apache-2.0
"""The whole operator in this process, against a real API server, with a server that we play.

A ClusterIP answers nobody where no node runs; so the admin API is a stub, and all else is real.
"""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cais_operator import desired
from cais_operator.app import App
from cais_operator.cluster import connect
from cais_operator.observed import ServerState
from cais_operator.registry_api import RegistryApi, Way
from cais_operator.settings import Settings
from support.apiserver import DEADLINE, free_port, wait_for
from support.operators import Place


@dataclass(slots=True, kw_only=True)
class PlayedServer:
    """Has loaded whatever is mounted, unless it is told to lag, or to fail with an error."""

    place: Place
    lags: bool = False
    error: str | None = None
    usage: dict[str, Any] = field(
        default_factory=lambda: {
            "repositories": 1,
            "tags": 1,
            "bytes": 1 << 20,
            "bytesReclaimable": 0,
            "disk": {"capacity": 1 << 30, "available": 1 << 29},
        }
    )
    last: dict[str, Any] | None = None
    asked: "itertools.count[int]" = field(default_factory=itertools.count)
    count: int = 0

    async def state(self, way: Way) -> ServerState:
        assert way.host.startswith("10.96.")
        assert way.ca
        assert way.password == self.place.secret("team-gc")
        self.count = next(self.asked) + 1
        if self.error is not None:
            return ServerState(error=self.error)
        files = {} if self.lags else await asyncio.to_thread(self.mounted)
        return ServerState(
            files=files, usage=self.usage, gc={"last": self.last, "lastSuccess": self.last}
        )

    async def collect(self, way: Way, *, dry_run: bool) -> str | None:
        assert way.host.startswith("10.96.")
        assert way.ca
        assert way.password == self.place.secret("team-gc")
        self.last = {
            "state": "Succeeded",
            "finishedAt": "2026-03-01T00:00:00Z",
            "durationSeconds": 1.0,
            "blobsDeleted": 7,
            "bytesReclaimed": 1,
            "message": "deleted 7 blobs",
        }
        return "dry runs are not played here" if dry_run else None

    def mounted(self) -> dict[str, str]:
        config = self.place.get("ConfigMap", "team-config")
        wanted = ("team-users", "team-tls", "team-token-keys")
        users, tls, keys = (self.place.get("Secret", name) for name in wanted)
        assert config is not None
        assert users is not None
        assert tls is not None
        assert keys is not None
        return desired.loaded_files(config, users, tls, keys)


@asynccontextmanager
async def operator(  # noqa: PLR0913 - what an operator is told
    place: Place,
    server: RegistryApi,
    *,
    resync: float,
    more: tuple[str, ...] | None = (),
    kubeconfig: Path | None = None,
    node_trust: str = "",
    role: str = "",
) -> AsyncIterator[None]:
    """Run it until the block ends.

    Args:
        place: Whose Registry it looks after.
        server: What it asks.
        resync: Seconds.
        more: Namespaces besides; None means all.
        kubeconfig: Who it is, if not the cluster's admin.
        node_trust: As in `Settings`.
        role: The same.
    """
    settings = Settings(
        namespaces=() if more is None else (place.team, *more),
        kubeconfig=kubeconfig or place.api.kubeconfig,
        system_namespace=place.system,
        health_listen=f"127.0.0.1:{free_port()}",
        resync=resync,
        node_trust=node_trust,
        role=role,
    )
    app = App(settings, await connect(settings.kubeconfig), server)
    running = asyncio.create_task(app.run())
    try:
        yield
    finally:
        app.stop()
        assert await running == 0


async def until(what: Callable[[], Any], words: str) -> Any:
    return await asyncio.to_thread(wait_for, what, words, DEADLINE)


def run_pods(place: Place) -> None:
    """What a provisioner, the Deployment controller and a kubelet would do."""
    claim = {"phase": "Bound", "capacity": {"storage": "10Gi"}}
    place.api.merge(place.path("PersistentVolumeClaim", "team-data") + "/status", {"status": claim})
    deployment = place.get("Deployment", "team")
    assert deployment is not None
    status = {
        "observedGeneration": deployment["metadata"]["generation"],
        "replicas": 1,
        "updatedReplicas": 1,
        "readyReplicas": 1,
        "availableReplicas": 1,
    }
    place.api.merge(place.path("Deployment", "team") + "/status", {"status": status})


def is_ready(place: Place) -> bool:
    return bool(place.condition("Ready").get("status") == "True")
