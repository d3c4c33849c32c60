# SPDX-License-Identifier: Apache-2.0
"""Where everything of the cluster is kept, and the addresses it uses."""

import os
from dataclasses import dataclass
from pathlib import Path

from programs import cache_folder

CLUSTER = "cais"
NODE = f"{CLUSTER}-control-plane"
LINK = "cais0"  # our end of the pair of links into the engine's network
HOST_ADDRESS = "10.124.0.1"
ENGINE_ADDRESS = "10.124.0.2"
API_PORT = 16443
SERVICE_RANGE = "10.96.0.0/16"
CGROUP = "cais"


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Folders and files outside the repository.

    Attributes:
        cache: What is kept: programs, images.
        run: What lives as long as the cluster: sockets, logs, process ids, the kubeconfig.
        hack: This repository's hack folder.
    """

    cache: Path
    run: Path
    hack: Path

    @property
    def programs(self) -> Path:
        """Return the folder with a link to every built program."""
        return self.cache / "bin"

    @property
    def store(self) -> Path:
        """Return the folder with the engine's images."""
        return self.cache / "engine"

    @property
    def kubeconfig(self) -> Path:
        """Return the kubeconfig file of the cluster."""
        return self.run / "kubeconfig"

    @property
    def socket(self) -> Path:
        """Return the socket of our own engine."""
        return self.run / "docker.sock"


def places() -> Places:
    """Return the places of this user's cluster."""
    cache = cache_folder()
    return Places(cache=cache, run=cache / "run", hack=Path(__file__).resolve().parent.parent)


def client_environment(where: Places, *, own_engine: bool) -> dict[str, str]:
    """Return the environment in which docker, kind, kubectl, crane and helm find the cluster."""
    environment = dict(os.environ)
    environment["PATH"] = f"{where.programs}:{environment.get('PATH', '')}"
    environment["KUBECONFIG"] = str(where.kubeconfig)
    environment["DOCKER_BUILDKIT"] = "0"  # the classic builder is in every engine
    environment["CAIS_CACHE"] = str(where.cache)
    if own_engine:
        environment["DOCKER_HOST"] = f"unix://{where.socket}"
    return environment
