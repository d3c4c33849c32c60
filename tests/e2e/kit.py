# SPDX-License-Identifier: Apache-2.0
"""What the end-to-end tests are made of: a cluster, and a registry in a namespace of its own."""

import base64
import json
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from clusterkit import engine, lifecycle
from demo.place import ROOT, Place

PATIENCE = 120.0  # seconds that anything may take on a busy machine
T = TypeVar("T")


class Refused(Exception):  # noqa: N818 - it reads as what happened
    """This cluster is not one that the tests were told to use."""


def permit(mode: str, asked: str, current: str) -> None:
    """Make sure that the cluster at hand is the one that was asked for.

    Args:
        mode: How the cluster came to be: own, machine or context; empty when there is none.
        asked: The context that CLUSTER_CONTEXT names; empty when it names none.
        current: The current context of the cluster's kubeconfig.

    Raises:
        Refused: It is another one.
    """
    if asked and (mode != "context" or current != asked):
        raise Refused(f"first `make cluster-up CLUSTER_CONTEXT={asked}`; now it is {current!r}")
    if not asked and mode == "context":
        raise Refused(f"the context {current!r} is used only with CLUSTER_CONTEXT={current}")


def until(ask: Callable[[], T], good: Callable[[T], bool], *, seconds: float = PATIENCE) -> T:
    """Ask until the answer is good; the assertion shows the last answer."""
    deadline = time.monotonic() + seconds
    while True:
        answer = ask()
        if good(answer):
            return answer
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s; last: {answer}"
        time.sleep(0.2)


def replace(file: Path, text: str) -> None:
    """Write a file that others may be reading: they see the old text or the new one, whole."""
    fresh = file.with_suffix(".new")
    fresh.write_text(text)
    fresh.replace(file)


# What docker says while it does not know a name yet, or still has the address of a Service that
# is no more; anything else is the registry's own answer.
NOT_REACHED = ("lookup", "waiting for connection", "connection refused", "i/o timeout")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a command said.

    Attributes:
        code: Its exit code.
        out: What it printed.
        err: What it complained about.
    """

    code: int
    out: str
    err: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """The cluster, and the ways to it.

    Attributes:
        place: Where the demo's commands run, which are the tests' as well.
    """

    place: Place

    def run(self, *command: str, text: str = "", beside: bool = False) -> Answer:
        """Run a program on this machine, or beside the engine where Services are reached."""
        shell = self.place.beside if beside else self.place.machine
        done = subprocess.run(
            [*shell.enter, *command],
            cwd=ROOT,
            env=dict(shell.environment),
            input=text,
            text=True,
            capture_output=True,
            check=False,
        )
        return Answer(code=done.returncode, out=done.stdout, err=done.stderr)

    def must(self, *command: str, text: str = "", beside: bool = False) -> str:
        """Run a program that has to succeed; return what it printed."""
        answer = self.run(*command, text=text, beside=beside)
        assert answer.code == 0, f"{' '.join(command)}\n{answer.out}\n{answer.err}"
        return answer.out

    def kubectl(self, *arguments: str, text: str = "") -> str:
        """Run a kubectl that has to succeed."""
        return self.must("kubectl", *arguments, text=text)

    def apply(self, manifest: Mapping[str, Any]) -> Answer:
        """Apply one object as a person would, and return what kubectl said."""
        return self.run("kubectl", "apply", "-f", "-", text=json.dumps(manifest))

    def get(self, kind: str, name: str, namespace: str) -> dict[str, Any] | None:
        """Return an object, None when there is none."""
        command = ["kubectl", "-n", namespace, "get", kind, name, "-o", "json"]
        found = self.must(*command, "--ignore-not-found")
        value: dict[str, Any] | None = json.loads(found) if found.strip() else None
        return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """A Registry named `team` in a namespace of its own.

    Attributes:
        cluster: Where.
        namespace: Its namespace.
        name: Its name.
    """

    cluster: Cluster
    namespace: str
    name: str = "team"

    @property
    def address(self) -> str:
        """Return what image names begin with."""
        return f"{self.name}.{self.namespace}.svc:5000"

    def manifest(self, **spec: Any) -> dict[str, Any]:
        """Return the Registry with this spec; small and without waiting times by default."""
        small = {
            "storage": {"volume": {"size": "64Mi"}},
            "garbageCollection": {"undeleteWindow": "0s"},
        }
        return {
            "apiVersion": "cais.dev/v1alpha1",
            "kind": "Registry",
            "metadata": {"name": self.name, "namespace": self.namespace},
            "spec": small | spec,
        }

    def apply(self, **spec: Any) -> None:
        """Apply the Registry with this spec."""
        answer = self.cluster.apply(self.manifest(**spec))
        assert answer.code == 0, answer.err

    def get(self, kind: str, name: str) -> dict[str, Any] | None:
        """Return an object of the namespace, None when there is none."""
        return self.cluster.get(kind, name, self.namespace)

    def kubectl(self, *arguments: str) -> str:
        """Run a kubectl in the namespace that has to succeed."""
        return self.cluster.kubectl("-n", self.namespace, *arguments)

    def wait_ready(self) -> dict[str, Any]:
        """Wait until the Registry is Ready for its newest spec; return it."""

        def observed() -> dict[str, Any]:
            return self.get("registry", self.name) or {}

        return until(observed, is_ready)

    def secret(self, name: str, key: str) -> str:
        """Return a value of a Secret."""
        found = self.get("secret", name)
        assert found, f"no Secret {name}"
        return base64.b64decode(found["data"][key]).decode()

    def pod(self) -> dict[str, Any]:
        """Return the server's one running pod."""
        label = f"app.kubernetes.io/instance={self.name},app.kubernetes.io/component=registry"
        items = json.loads(self.kubectl("get", "pods", "-l", label, "-o", "json"))["items"]
        (pod,) = (pod for pod in items if "deletionTimestamp" not in pod["metadata"])
        running: dict[str, Any] = pod
        return running

    def logs(self) -> str:
        """Return the last lines of its pods."""
        mine = ("-l", f"app.kubernetes.io/instance={self.name}", "--prefix", "--tail=200")
        answer = self.cluster.run("kubectl", "-n", self.namespace, "logs", *mine)
        return answer.out + answer.err

    def bundle(self) -> str:
        """Return the CA certificates that the namespace is shown."""
        authority = self.get("configmap", f"{self.name}-ca")
        assert authority, "no CA"
        return str(authority["data"]["ca.crt"])

    def trust(self) -> None:
        """Let clients find the registry and believe it."""
        service = self.get("service", self.name)
        assert service, "no Service"
        file = self.cluster.place.work / "ca.crt"
        replace(file, self.bundle())
        address = service["spec"]["clusterIP"]
        self.cluster.must("hack/cluster", "trust", self.address, address, str(file))

    def log_in(self, user: str, password: str) -> Answer:
        """Log in as docker does, once the engine knows the address (it reads names every 5 s)."""
        command = ["docker", "login", self.address, "--username", user, "--password-stdin"]
        return until(
            lambda: self.cluster.run(*command, text=password, beside=True),
            lambda answer: not any(words in answer.err for words in NOT_REACHED),
        )

    def log_in_as_admin(self) -> None:
        """Trust the registry and log in with the generated password."""
        self.trust()
        answer = self.log_in("admin", self.secret(f"{self.name}-admin", "password"))
        assert answer.code == 0, answer.err

    def push(self, reference: str) -> str:
        """Push a small image with one layer of its own; return its digest."""
        work = self.cluster.place.work / "layer"
        work.mkdir(exist_ok=True)
        (work / "content").write_text(f"{time.time_ns()}")
        self.cluster.must("tar", "-C", str(work), "-cf", f"{work}.tar", "content")
        target = f"{self.address}/{reference}"
        append = ["crane", "append", "--oci-empty-base", "-f", f"{work}.tar", "-t", target]
        self.cluster.must(*append, beside=True)
        return self.digest(reference)

    def digest(self, reference: str) -> str:
        """Return the digest that a tag has in the registry."""
        target = f"{self.address}/{reference}"
        return self.cluster.must("crane", "digest", target, beside=True).strip()

    def ask(self, path: str, *, user: str = "") -> tuple[int, dict[str, Any]]:
        """Send a GET; return status and JSON body.

        Args:
            path: From the slash on.
            user: `name:password`; nobody when empty.
        """
        authority = str(self.cluster.place.work / "ca.crt")
        command = ["curl", "--silent", "--show-error", "--cacert", authority]
        command += ["--write-out", "\n%{http_code}", *(["--user", user] if user else [])]
        printed = self.cluster.must(*command, f"https://{self.address}{path}", beside=True)
        body, _, status = printed.rpartition("\n")
        return int(status), json.loads(body) if body.strip() else {}


def condition(registry: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """Return a condition of a Registry; empty when it has none of this type."""
    for entry in registry.get("status", {}).get("conditions", []):
        if entry["type"] == kind:
            found: dict[str, Any] = entry
            return found
    return {}


def is_ready(registry: Mapping[str, Any]) -> bool:
    """Tell whether a Registry is Ready for its newest generation."""
    if not registry:
        return False
    newest = registry["metadata"]["generation"]
    ready = condition(registry, "Ready")
    current = registry.get("status", {}).get("observedGeneration") == newest
    return current and ready.get("status") == "True"


def mode_of(place: Place) -> str:
    """Return how the cluster came to be: own, machine, context, or nothing."""
    file = place.where.run / "mode"
    return file.read_text().strip() if file.exists() else ""


def beside_prefix(place: Place) -> list[str]:
    """Return the command that enters the engine's namespaces; empty where there are none."""
    own = lifecycle.current(place.where).own_engine
    return engine.inside(place.where, []) if own else []
