# SPDX-License-Identifier: Apache-2.0
"""A cluster of dicts for `kubectl cais`, and the objects that it is made of."""

import base64
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from cais_kubectl.api import Object
from cais_kubectl.errors import Failure, Forbidden, NotFound
from cais_kubectl.kubectl import Kubectl
from cais_kubectl.session import Session

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
REGISTRIES = "/apis/cais.dev/v1alpha1/namespaces/team-a/registries"


def stamp(ago: timedelta = timedelta()) -> str:
    return (NOW - ago).isoformat().replace("+00:00", "Z")


def condition(kind: str, status: str, reason: str, message: str = "words") -> dict[str, str]:
    return {"type": kind, "status": status, "reason": reason, "message": message}


def registry(
    *conditions: Mapping[str, str], name: str = "team", namespace: str = "team-a", **parts: Any
) -> Object:
    """A Registry that is Ready, unless conditions say otherwise."""
    found = conditions or (condition("Ready", "True", "Serving"),)
    status = {
        "observedGeneration": 1,
        "conditions": [dict(one) for one in found],
        "url": f"https://{name}.{namespace}.svc:5000",
        "storage": {"claimName": f"{name}-data", "capacity": "10Gi", "used": "1Gi"},
    }
    return {
        "metadata": {
            "name": name,
            "namespace": namespace,
            "generation": 1,
            "creationTimestamp": stamp(timedelta(days=3)),
        },
        "spec": parts.pop("spec", {}),
        "status": {**status, **parts},
    }


def secret(**texts: str) -> Object:
    return {"data": {key: base64.b64encode(text.encode()).decode() for key, text in texts.items()}}


@dataclass
class FakeApi:
    """Implements `Api`: objects by their paths.

    Attributes:
        objects: What there is.
        hidden: Beginnings of paths that may not be read.
        sent: Requests that change something.
    """

    objects: dict[str, Object] = field(default_factory=dict)
    hidden: tuple[str, ...] = ()
    sent: list[tuple[str, str, Mapping[str, Any]]] = field(default_factory=list)
    time: datetime | None = NOW

    def put(self, path: str, *objects: Object) -> None:
        for one in objects:
            self.objects[f"{path}/{one['metadata']['name']}"] = one

    def get(self, path: str) -> Object:
        self._judge(path)
        if path not in self.objects:
            raise NotFound(f"{path} not found")
        return self.objects[path]

    def items(self, path: str, **query: str) -> list[Object]:
        del query
        self._judge(path)
        inner = path.rpartition("/")
        return [
            one
            for where, one in self.objects.items()
            if where.rpartition("/")[0] == path
            or ("/namespaces/" not in path and self._is_of(where, inner[0], inner[2]))
        ]

    def _is_of(self, where: str, group: str, plural: str) -> bool:
        return where.startswith(f"{group}/namespaces/") and f"/{plural}/" in where

    def send(self, method: str, path: str, body: Mapping[str, Any]) -> Object:
        self._judge(path)
        self.sent.append((method, path, body))
        return {"status": {"allowed": True}}

    def date(self) -> datetime | None:
        return self.time

    def _judge(self, path: str) -> None:
        if path.startswith(self.hidden or ("-",)):
            raise Forbidden(f"not allowed: {path}")


class NoKubectl(Kubectl):
    """Where nothing is forwarded."""

    @contextmanager
    def forward(self, namespace: str, service: str, port: int, local: int = 0) -> Iterator[int]:
        del namespace, local
        if port:
            raise Failure(f"no way to {service} here")
        yield port


def session(api: FakeApi, namespace: str = "team-a", *, everywhere: bool = False) -> Session:
    return Session(api=api, kubectl=NoKubectl(), namespace=namespace, everywhere=everywhere)
