# SPDX-License-Identifier: Apache-2.0
"""Operators as processes that start at once and die at once: forks of one that has all imported.

Each is the whole operator, against a real API server; only the servers of the registries are
played, as no node runs here: whatever is in the cluster is loaded, and served, at once.
"""

import asyncio
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from cais_operator import certificates, desired, logs, pki
from cais_operator.app import App
from cais_operator.cluster import Client, Selection, connect, find
from cais_operator.handshake import Served
from cais_operator.observed import ServerState
from cais_operator.registry_api import Way
from cais_operator.settings import Settings

_USAGE = {
    "repositories": 1,
    "tags": 1,
    "bytes": 1 << 20,
    "bytesReclaimable": 0,
    "disk": {"capacity": 1 << 30, "available": 1 << 29},
}
_FORKS = get_context("forkserver")
_FORKS.set_forkserver_preload(["cais_operator.app"])


class LoadedServers:
    """Registry servers that have loaded what the cluster holds, asked past any proxy."""

    def __init__(self, cluster: Client, namespace: str) -> None:
        self._cluster = cluster
        self._namespace = namespace

    async def state(self, way: Way) -> ServerState:
        name = await self._of(way.host)
        found = [
            await find(self._cluster, kind, self._namespace, f"{name}-{part}")
            for kind, part in (
                ("ConfigMap", "config"),
                ("Secret", "users"),
                ("Secret", "tls"),
                ("Secret", "token-keys"),
            )
        ]
        if any(one is None for one in found):
            return ServerState(error="it has nothing mounted")
        files = desired.loaded_files(*found)  # type: ignore[arg-type]
        return ServerState(files=files, usage=_USAGE, gc={"last": None})

    async def collect(self, way: Way, *, dry_run: bool) -> str | None:
        return f"{way.host} does not collect; dry run: {dry_run}"

    async def __call__(self, *, host: str, ca: str) -> Served:
        """See `Handshake`."""
        secret = await find(self._cluster, "Secret", self._namespace, f"{await self._of(host)}-tls")
        if secret is None:
            return Served.SILENCE
        leaf = certificates.text_in(secret, "tls.crt")
        return Served.TRUSTED if certificates.is_signed_by(leaf, ca) else Served.ANOTHER

    async def _of(self, host: str) -> str:
        services, _ = await self._cluster.list(Selection(kind="Service", namespace=self._namespace))
        return next(
            (one["metadata"]["name"] for one in services if one["spec"]["clusterIP"] == host), "-"
        )


@dataclass(slots=True, kw_only=True)
class Forked:
    """One operator."""

    process: BaseProcess

    @property
    def pid(self) -> int:
        assert self.process.pid is not None
        return self.process.pid

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def is_alive(self) -> bool:
        return self.process.is_alive()


@contextmanager
def forked(settings: Settings, direct: Path, log: Path) -> Iterator[Forked]:
    """Run one until the block ends.

    Args:
        settings: Of the operator.
        direct: A kubeconfig for what plays the servers.
        log: Where it logs.
    """
    process = _FORKS.Process(target=_run, args=(settings, direct, log), daemon=True)
    process.start()
    try:
        yield Forked(process=process)
    finally:
        process.kill()
        process.join()
        process.close()


def _run(settings: Settings, direct: Path, log: Path) -> None:
    with log.open("ab") as output:
        for stream in (sys.stdout, sys.stderr):
            os.dup2(output.fileno(), stream.fileno())
    logs.configure("json")
    pki._ROUNDS = 4  # what bcrypt costs is not what is tried here
    sys.exit(asyncio.run(_work(settings, direct)))


async def _work(settings: Settings, direct: Path) -> int:
    (namespace,) = settings.namespaces
    played: Any = LoadedServers(Client(await connect(direct)), namespace)
    logging.getLogger(__name__).info("forked as %d", os.getpid())
    app = App(settings, await connect(settings.kubeconfig), played, played)
    return await app.run()
