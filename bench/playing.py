# SPDX-License-Identifier: Apache-2.0
"""The operator with servers that are played: a ClusterIP answers nobody where no node runs.

    python bench/playing.py run ARGUMENTS-OF-CAIS-OPERATOR-RUN

Each server has loaded whatever its pod would have mounted. All else is the operator as it is.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any, cast

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "hack"))

from cais_operator import __main__, desired, logs
from cais_operator.app import App
from cais_operator.cluster import connect
from cais_operator.observed import ServerState
from cais_operator.registry_api import Way
from support.apiserver import ApiServer

_MOUNTED = ("secrets/{}-users", "secrets/{}-tls", "secrets/{}-token-keys")


class Playing:
    """All servers of a cluster."""

    def __init__(self, kubeconfig: Path) -> None:
        server = yaml.safe_load(kubeconfig.read_text())["clusters"][0]["cluster"]["server"]
        nobody = cast("Any", None)  # etcd is not asked here
        self._api = ApiServer(url=server, folder=kubeconfig.parent, etcd=nobody)

    async def state(self, way: Way) -> ServerState:
        """What the one of that name has loaded."""
        name, namespace, *_ = way.name.split(".")
        try:
            files = await asyncio.to_thread(self._loaded, namespace, name)
        except OSError as error:
            return ServerState(error=str(error))
        return ServerState(files=files, usage=_USAGE, gc={"last": None})

    async def collect(self, way: Way, *, dry_run: bool) -> str | None:
        """Nothing asks for that here."""
        return f"{way.name} does not play that (dry run: {dry_run})"

    def _loaded(self, namespace: str, name: str) -> dict[str, str]:
        config = self._get(namespace, f"configmaps/{name}-config")
        return desired.loaded_files(
            config, *(self._get(namespace, path.format(name)) for path in _MOUNTED)
        )

    def _get(self, namespace: str, path: str) -> dict[str, Any]:
        return self._api.request("GET", f"/api/v1/namespaces/{namespace}/{path}")


_USAGE = {
    "repositories": 1,
    "tags": 1,
    "bytes": 1 << 20,
    "bytesReclaimable": 0,
    "disk": {"capacity": 1 << 30, "available": 1 << 29, "reserve": 50 << 20},
    "storagePressure": False,
}


async def _run() -> int:
    settings = __main__.settings_from(__main__._parser().parse_args(), os.environ)  # noqa: SLF001 - the same flags
    assert settings.kubeconfig is not None
    logs.configure(settings.log_format)
    connection = await connect(settings.kubeconfig)
    return await App(settings, connection, Playing(settings.kubeconfig)).run()


if __name__ == "__main__":
    sys.exit(asyncio.run(_run()))
