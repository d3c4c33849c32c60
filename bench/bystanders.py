# SPDX-License-Identifier: Apache-2.0
"""What others do in the cluster of a soak: controllers and kubelets, people and scripts."""

from __future__ import annotations

import random
import threading
import urllib.error
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

import operated

from support.apiserver import ApiServer
from support.children import CHILDREN
from support.operators import PATHS

ALL: Final = {kind: path.replace("/namespaces/{}", "") for kind, path in PATHS.items()}
LABEL: Final = "?labelSelector=app.kubernetes.io/managed-by=cais-operator"
_RACES: Final = (404, 409, 422)
_RUNNING: Final = {"replicas": 1, "updatedReplicas": 1, "readyReplicas": 1, "availableReplicas": 1}


class Cluster:
    """The cluster, and what controllers and kubelets would do in it."""

    def __init__(self, api: ApiServer) -> None:
        self.api = api
        self._stop = threading.Event()

    def play(self) -> None:
        """Give Deployments and claims their status until told to stop."""
        while not self._stop.wait(0.5):
            for one in self.all("Deployment"):
                generation = one["metadata"]["generation"]
                if one.get("status", {}).get("observedGeneration") != generation:
                    self._say(one, {"observedGeneration": generation, **_RUNNING})
            for one in self.all("PersistentVolumeClaim"):
                if one.get("status", {}).get("phase") != "Bound":
                    self._say(one, {"phase": "Bound", "capacity": {"storage": "10Gi"}})

    def stop(self) -> None:
        self._stop.set()

    def all(self, kind: str) -> list[dict[str, Any]]:
        """Of all namespaces; of children those with the operator's label."""
        label = "" if kind == "Registry" else LABEL
        found: list[dict[str, Any]] = self.api.request("GET", ALL[kind] + label)["items"]
        return [{**one, "kind": kind} for one in found]

    def path(self, one: dict[str, Any]) -> str:
        metadata = one["metadata"]
        return f"{PATHS[one['kind']].format(metadata['namespace'])}/{metadata['name']}"

    def _say(self, one: dict[str, Any], status: dict[str, Any]) -> None:
        try:
            self.api.merge(self.path(one) + "/status", {"status": status})
        except urllib.error.HTTPError as error:
            if error.code not in _RACES:
                raise


class Disturber:
    """Does to Registries and children what people and scripts do."""

    def __init__(self, cluster: Cluster, names: list[tuple[str, str]], seed: int) -> None:
        self._cluster, self._names = cluster, names
        self._random = random.Random(seed)  # noqa: S311 - so that a run can be repeated
        self.done: Counter[str] = Counter()
        self._acts: dict[str, Callable[[], None]] = {
            "Registry edited": self._edit,
            "child deleted": self._delete_child,
            "child edited": self._edit_child,
            "Registry deleted": self._delete,
            "Registry created again": self._create,
        }

    def act(self) -> None:
        """One thing at random; what was overtaken by another one does not count."""
        (words,) = self._random.choices(list(self._acts), weights=(8, 8, 4, 1, 3))
        try:
            self._acts[words]()
        except urllib.error.HTTPError as error:
            if error.code not in _RACES:
                raise
        else:
            self.done[words] += 1

    def restore(self) -> None:
        """Create what is missing."""
        there = {_key(one) for one in self._cluster.all("Registry")}
        for key in set(self._names) - there:
            operated.create_one(self._cluster.api, key)

    def _edit(self) -> None:
        minute, hour = self._random.randrange(60), self._random.randrange(24)
        users = [{"name": name} for name in ("ci", "dev") if self._random.random() < 0.8]  # noqa: PLR2004
        spec = {
            "garbageCollection": {"schedule": f"{minute} {hour} * * *"},
            "access": {"users": users},
            "readOnly": self._random.random() < 0.1,  # noqa: PLR2004
        }
        namespace, name = self._random.choice(self._names)
        self._cluster.api.merge(operated.path(namespace, name), {"spec": spec})

    def _child(self, kind: str) -> str:
        found = self._cluster.all(kind)
        return self._cluster.path(self._random.choice(found)) if found else "/nothing"

    def _delete_child(self) -> None:
        kinds = sorted({kind for kind, _ in CHILDREN} - {"PersistentVolumeClaim", "Secret"})
        self._cluster.api.request("DELETE", self._child(self._random.choice(kinds)))

    def _edit_child(self) -> None:
        change: dict[str, Any] = {"metadata": {"labels": {"app.kubernetes.io/component": "odd"}}}
        kinds = ("ConfigMap", "Deployment", "NetworkPolicy", "CronJob", "ServiceAccount")
        self._cluster.api.merge(self._child(self._random.choice(kinds)), change)

    def _delete(self) -> None:
        self._cluster.api.request("DELETE", operated.path(*self._random.choice(self._names)))

    def _create(self) -> None:
        operated.create_one(self._cluster.api, self._random.choice(self._names))


def _key(one: dict[str, Any]) -> tuple[str, str]:
    return one["metadata"]["namespace"], one["metadata"]["name"]
