# SPDX-License-Identifier: Apache-2.0
"""Where the demo's commands run."""

from dataclasses import dataclass
from pathlib import Path

from clusterkit import engine, lifecycle
from clusterkit.places import Places
from demo.shell import Shell

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The two shells of the demo; each is looked up anew, for the cluster comes up meanwhile.

    Attributes:
        where: Where the cluster keeps its things.
        name: The folder in there for files and credentials of who works here; the demo's.
    """

    where: Places
    name: str = "demo"

    @property
    def work(self) -> Path:
        """Return the folder of who works here; it goes with the cluster."""
        folder = self.where.run / self.name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    @property
    def machine(self) -> Shell:
        """Return a shell on this machine, in the repository's folder."""
        return Shell(prompt="$", enter=(), environment=self._environment(), folder=ROOT)

    @property
    def beside(self) -> Shell:
        """Return a shell beside the engine, as `make shell` opens it.

        Raises:
            ClusterError: No engine runs.
        """
        own = lifecycle.current(self.where).own_engine
        enter = engine.inside(self.where, []) if own else []
        environment = self._environment() | {"SSL_CERT_FILE": str(self.work / "ca.crt")}
        return Shell(prompt="(cais) $", enter=enter, environment=environment, folder=self.work)

    def _environment(self) -> dict[str, str]:
        # credentials of the demo stay out of the user's own docker configuration
        logins = {"DOCKER_CONFIG": str(self.work / "docker")}
        return lifecycle.current(self.where).environment | logins
