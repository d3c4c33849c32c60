# SPDX-License-Identifier: Apache-2.0
"""Registries as the API server has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from cais_kubectl.api import GROUP, Api, Object
from cais_kubectl.errors import USAGE, Failure, NotFound

PORT: Final = 5000
_ABSENT: Final = (
    "this cluster knows no Registries: install Cais first (`kubectl cais doctor` tells what is"
    " missing)"
)


def path_of(namespace: str | None, name: str = "") -> str:
    """Return the path of one Registry, of those of a namespace, or of all."""
    place = f"/namespaces/{namespace}" if namespace else ""
    return f"{GROUP}{place}/registries" + (f"/{name}" if name else "")


def find_all(api: Api, namespace: str | None) -> list[Object]:
    """Return the Registries of a namespace, or of all, by name.

    Raises:
        Failure: Also when the cluster does not know the kind.
    """
    try:
        found = api.items(path_of(namespace))
    except NotFound as error:
        raise Failure(_ABSENT) from error
    return sorted(found, key=lambda one: (one["metadata"]["namespace"], one["metadata"]["name"]))


def find(api: Api, namespace: str, name: str | None) -> Object:
    """Return one Registry; without a name, the only one of the namespace.

    Raises:
        Failure: When there is none, or more than one to choose from; it names them.
    """
    if name is None:
        return _only(find_all(api, namespace), namespace)
    try:
        return api.get(path_of(namespace, name))
    except NotFound as error:
        others = ", ".join(one["metadata"]["name"] for one in find_all(api, namespace)) or "none"
        words = f"there is no Registry {name} in namespace {namespace}; there: {others}"
        raise NotFound(f"{words}. Name another namespace with -n") from error


def _only(found: list[Object], namespace: str) -> Object:
    if not found:
        raise NotFound(
            f"there is no Registry in namespace {namespace}; name another one with -n, or see all"
            " with `kubectl cais status -A`"
        )
    if len(found) > 1:
        names = ", ".join(one["metadata"]["name"] for one in found)
        raise Failure(f"namespace {namespace} has several Registries, name one: {names}", USAGE)
    return found[0]


def key_of(registry: Mapping[str, Any]) -> tuple[str, str]:
    """Return namespace and name."""
    metadata = registry["metadata"]
    return metadata["namespace"], metadata["name"]


def status_of(registry: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the status; empty while there is none."""
    return registry.get("status") or {}


def conditions(registry: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return the conditions by type."""
    return {one["type"]: one for one in status_of(registry).get("conditions") or ()}


def is_current(registry: Mapping[str, Any]) -> bool:
    """Whether the operator has looked at the newest spec."""
    seen: int = status_of(registry).get("observedGeneration") or 0
    newest: int = registry["metadata"].get("generation") or 0
    return seen >= newest


def is_ready(registry: Mapping[str, Any]) -> bool:
    """Whether it does now what its newest spec asks."""
    ready = conditions(registry).get("Ready", {})
    return bool(ready.get("status") == "True" and is_current(registry))


def is_inside(registry: Mapping[str, Any]) -> bool:
    """Whether it is reached from inside the cluster only."""
    expose = (registry.get("spec") or {}).get("expose") or {}
    return bool(expose.get("type", "ClusterIP") == "ClusterIP")
