# SPDX-License-Identifier: Apache-2.0
"""The real operator as a process, against a real API server, in namespaces of its own."""

import base64
import itertools
import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from cais_operator import names
from support.apiserver import ApiServer, free_port, running, wait_for
from support.children import CHILDREN

DEFINITIONS = Path(__file__).parents[2] / "crds"
GROUP = "/apis/cais.dev/v1alpha1"
PATHS = {
    "Service": "/api/v1/namespaces/{}/services",
    "Secret": "/api/v1/namespaces/{}/secrets",
    "ConfigMap": "/api/v1/namespaces/{}/configmaps",
    "ServiceAccount": "/api/v1/namespaces/{}/serviceaccounts",
    "PersistentVolumeClaim": "/api/v1/namespaces/{}/persistentvolumeclaims",
    "Deployment": "/apis/apps/v1/namespaces/{}/deployments",
    "PodDisruptionBudget": "/apis/policy/v1/namespaces/{}/poddisruptionbudgets",
    "CronJob": "/apis/batch/v1/namespaces/{}/cronjobs",
    "NetworkPolicy": "/apis/networking.k8s.io/v1/namespaces/{}/networkpolicies",
    "Ingress": "/apis/networking.k8s.io/v1/namespaces/{}/ingresses",
    "HTTPRoute": "/apis/gateway.networking.k8s.io/v1/namespaces/{}/httproutes",
    "BackendTLSPolicy": "/apis/gateway.networking.k8s.io/v1/namespaces/{}/backendtlspolicies",
    "Certificate": "/apis/cert-manager.io/v1/namespaces/{}/certificates",
    "Lease": "/apis/coordination.k8s.io/v1/namespaces/{}/leases",
    "Event": "/api/v1/namespaces/{}/events",
    "Registry": GROUP + "/namespaces/{}/registries",
    "RegistryAccess": GROUP + "/namespaces/{}/registryaccesses",
}
_WRITES = ("create", "update", "patch", "delete", "deletecollection")
_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Two namespaces of one test: a tenant's and the operator's."""

    api: ApiServer
    team: str
    system: str

    def path(self, kind: str, name: str = "", namespace: str = "") -> str:
        path = PATHS[kind].format(namespace or self.team)
        return f"{path}/{name}" if name else path

    def get(self, kind: str, name: str, namespace: str = "") -> dict[str, Any] | None:
        return self.api.find(self.path(kind, name, namespace))

    def all(self, kind: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.api.request("GET", self.path(kind))["items"]
        return found

    def ours(self) -> set[tuple[str, str]]:
        """Kind and name of everything of the operator's in the tenant's namespace."""
        return {(kind, name) for kind, namespace, name in ours(self.api) if namespace == self.team}

    def give(self, name: str, **texts: str) -> None:
        """Make a Secret, as its owner would."""
        body = {"metadata": {"name": name}, "stringData": texts}
        self.api.request("POST", self.path("Secret"), body)

    def give_backend(self) -> None:
        """Make the Secrets that a registry over a bucket refers to; nobody answers there."""
        self.give("keys", AWS_ACCESS_KEY_ID="a", AWS_SECRET_ACCESS_KEY="b")
        self.give("database", uri="postgresql://h/db")

    def delete(self, kind: str, name: str) -> None:
        self.api.request("DELETE", self.path(kind, name))

    def create_registry(self, spec: dict[str, Any] | None = None, name: str = "team") -> None:
        body = {
            "apiVersion": "cais.dev/v1alpha1",
            "kind": "Registry",
            "metadata": {"name": name, "namespace": self.team},
            "spec": spec or {},
        }
        self.api.request("POST", self.path("Registry") + "?fieldValidation=Strict", body)

    def touch(self, name: str = "team") -> None:
        """Give a Registry a reason to be looked at that changes nothing."""
        mark = {"metadata": {"annotations": {"example.com/touched": f"{next(_numbers)}"}}}
        self.api.merge(self.path("Registry", name), mark)

    def looks(self, name: str = "team") -> int:
        """How often operators have read a Registry as a whole, which begins each look."""
        path = self.path("Registry", name)
        found = self.api.audit("cais-operator")
        return sum((one["verb"], one["requestURI"]) == ("get", path) for one in found)

    def wait_looked_again(self, times: int, name: str = "team") -> None:
        """Give it so many reasons, one after the other, until each has led to a look."""
        for _ in range(times):
            before = self.looks(name)
            self.touch(name)
            wait_for(partial(self._is_looked_at, name, before), "it is looked at again")

    def _is_looked_at(self, name: str, before: int) -> bool:
        return self.looks(name) > before

    def condition(self, kind: str, name: str = "team") -> dict[str, Any]:
        status = (self.get("Registry", name) or {}).get("status") or {}
        conditions = status.get("conditions") or ()
        return next((one for one in conditions if one["type"] == kind), {})

    def missing(self) -> list[tuple[str, str]]:
        return [one for one in CHILDREN if self.get(*one) is None]

    def wait_complete(self) -> None:
        """Until every child and the status is there."""
        for kind, name in CHILDREN:
            wait_for(partial(self.get, kind, name), f"{kind} {name} in {self.team}")
        wait_for(lambda: self.condition("Ready"), "the status")

    def secret(self, name: str, key: str = "password", namespace: str = "") -> str:
        found = self.get("Secret", name, namespace)
        assert found is not None
        return base64.b64decode(found["data"][key]).decode()

    def material(self) -> dict[str, Any]:
        """All that is generated once; by name of the Secret."""
        names = ("team-tls", "team-admin", "team-gc", "team-pull")
        found = {name: self.get("Secret", name) for name in names}
        found["cais-ca"] = self.get("Secret", "cais-ca", self.system)
        return {name: one["data"] for name, one in found.items() if one is not None}

    def writes(self) -> list[tuple[str, str, str]]:
        """What operators have written here, but for the Lease: verb, resource, name."""
        return [
            (one["verb"], one["objectRef"]["resource"], one["objectRef"].get("name", ""))
            for one in self.api.audit("cais-operator")
            if one["verb"] in _WRITES
            and one["objectRef"].get("namespace") in (self.team, self.system)
            and one["objectRef"]["resource"] != "leases"
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """A running operator."""

    process: subprocess.Popen[bytes]
    health: str
    log: Path
    arguments: tuple[str, ...] = field(default=())

    def fetch(self, path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(self.health + path, timeout=10) as answer:  # noqa: S310 - ours
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def reconciles(self) -> float:
        lines = self.fetch("/metrics")[1].splitlines()
        values = (line.split()[-1] for line in lines if line.startswith("cais_reconciles_total"))
        return sum(float(value) for value in values)

    def leads(self) -> bool:
        return "cais_leading 1.0" in self.fetch("/metrics")[1]

    def wait_looked_again(self, times: int) -> None:
        """Until that many more reconciles were done."""
        start = self.reconciles()
        wait_for(lambda: self.reconciles() >= start + times, f"{times} more reconciles")


def ours(api: ApiServer) -> set[tuple[str, str, str]]:
    """Kind, namespace and name of everything that carries the operator's label."""
    query = f"?labelSelector={names.CHILDREN}"
    paths = {kind: path.replace("/namespaces/{}", "") for kind, path in PATHS.items()}
    found = {kind: api.find(path + query) or {} for kind, path in paths.items()}
    return {
        (kind, one["metadata"]["namespace"], one["metadata"]["name"])
        for kind, listed in found.items()
        for one in listed.get("items", ())
    }


def holds(live: Any, change: Any) -> bool:
    """Whether all that a merge patch says is in place."""
    if not isinstance(change, dict):
        return bool(live == change)
    return all(holds((live or {}).get(key), value) for key, value in change.items())


def define_kinds(api: ApiServer) -> None:
    """Apply the resource definitions; until they are served."""
    for path in sorted(DEFINITIONS.glob("*.yaml")):
        definition = yaml.safe_load(path.read_text())
        api.request("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", definition)
        plural = definition["spec"]["names"]["plural"]
        wait_for(partial(api.find, f"{GROUP}/{plural}"), f"{plural} are served")


def new_place(api: ApiServer) -> Place:
    """Two fresh namespaces."""
    number = f"{os.getpid()}-{next(_numbers)}"
    place = Place(api=api, team=f"team-{number}", system=f"system-{number}")
    for name in (place.team, place.system):
        api.request("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
    return place


@contextmanager
def operator(
    place: Place, folder: Path, *arguments: str, everywhere: bool = False
) -> Iterator[Operator]:
    """Start `cais-operator run` for the place, or for all namespaces; killed at the end."""
    port = free_port()
    log = folder / f"operator-{port}.log"
    command = [
        *(sys.executable, "-m", "cais_operator", "run"),
        f"--kubeconfig={place.api.kubeconfig}",
        *([] if everywhere else [f"--namespace={place.team}"]),
        f"--system-namespace={place.system}",
        f"--health-listen=127.0.0.1:{port}",
        "--log-format=json",
        *arguments,
    ]
    with running(command, log) as process:
        yield Operator(
            process=process,
            health=f"http://127.0.0.1:{port}",
            log=log,
            arguments=tuple(command),
        )


def log_lines(operator: Operator) -> list[dict[str, Any]]:
    """The log as objects."""
    return [json.loads(line) for line in operator.log.read_text().splitlines()]
