# SPDX-License-Identifier: Apache-2.0
"""The server: ServiceAccount and Deployment. Pure."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cais_operator import backend, names, token_keys
from cais_operator.desired import pods
from cais_operator.desired.config import static_part
from cais_operator.desired.metadata import finish
from cais_operator.desired.replicas import Replicas, replicas
from cais_operator.observed import Live
from cais_operator.render import Manifest, render
from cais_operator.resource import Quantity, Registry
from cais_operator.settings import Settings

_REQUESTS = {"cpu": Quantity.parse("50m"), "memory": Quantity.parse("64Mi")}
_LIMITS = {"memory": Quantity.parse("256Mi")}


@dataclass(frozen=True, slots=True, kw_only=True)
class _ServiceAccount:
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Deployment:
    pod: pods.Common
    name: str
    selector: Mapping[str, str]
    args: tuple[str, ...]
    port: int
    alive: Mapping[str, Any]
    ready: Mapping[str, Any]
    affinity: Mapping[str, Any] | None
    resources: Mapping[str, Mapping[str, str]]
    config_map_name: str
    tls: Mapping[str, Any]
    users_secret_name: str
    token_keys: Mapping[str, Any]
    servers: Replicas


@dataclass(frozen=True, slots=True, kw_only=True)
class _DisruptionBudget:
    name: str
    selector: Mapping[str, str]


def service_account(registry: Registry, settings: Settings) -> Manifest:
    """Return the account of the server's and the garbage collection's pods; it has no token."""
    del settings
    context = _ServiceAccount(name=names.service_account(registry))
    return finish(render("service-account", context), registry)


def deployment(registry: Registry, settings: Settings, copy: Live | None = None) -> Manifest:
    """Return the server's Deployment.

    Nothing that the server reloads by itself (certificate, users, rules, keys, times) is in it, so
    that a change of those restarts no pod.

    Args:
        registry: The Registry.
        settings: Of the operator.
        copy: The Secret with keys and addresses of its bucket and database, if it has them.
    """
    context = _Deployment(
        pod=pods.common(registry, settings, names.REGISTRY, _annotations(registry, settings, copy)),
        name=names.deployment(registry),
        selector=names.selector(registry, names.REGISTRY),
        args=("serve", "--config", names.CONFIG_FILE),
        port=names.PORT,
        alive=_probe(registry, "/healthz"),
        ready=_probe(registry, "/readyz"),
        affinity=pods.normal(registry.spec.pod.affinity) or None,
        resources=_resources(registry),
        config_map_name=names.config_map(registry),
        tls=pods.tls_source(registry),
        users_secret_name=names.users_secret(registry),
        token_keys=_token_keys(registry),
        servers=replicas(registry),
    )
    made = render("deployment", context)
    if context.servers.backend is not None:
        _mount(made["spec"]["template"]["spec"], context.servers.backend)
    return finish(made, registry)


def disruption_budget(registry: Registry, settings: Settings) -> Manifest | None:
    """Return what lets servers be evicted one at a time; None for the one of a volume.

    There it would keep a node from being drained for ever, or have no meaning.
    """
    del settings
    if registry.spec.storage.mounted is not None:
        return None
    context = _DisruptionBudget(
        name=names.deployment(registry), selector=names.selector(registry, names.REGISTRY)
    )
    return finish(render("pod-disruption-budget", context), registry)


def _mount(spec: Manifest, source: Mapping[str, Any]) -> None:
    """Add the keys and addresses of bucket and database, which not every server has."""
    mount = {"name": "backend", "mountPath": backend.FOLDER, "readOnly": True}
    spec["containers"][0]["volumeMounts"].append(mount)
    spec["volumes"].append({"name": "backend", "secret": dict(source)})


def _probe(registry: Registry, path: str) -> dict[str, Any]:
    return {"path": path, "port": "registry", "scheme": names.scheme(registry).upper()}


def _token_keys(registry: Registry) -> dict[str, Any]:
    """The Secret as a volume, readable by the pod's group."""
    items = [{"key": token_keys.FILE, "path": token_keys.FILE}]
    return {"secretName": names.token_keys_secret(registry), "defaultMode": 0o440, "items": items}


def _annotations(registry: Registry, settings: Settings, copy: Live | None) -> dict[str, str]:
    """What is another one whenever the server has to be started anew."""
    text = json.dumps(static_part(registry, settings), sort_keys=True)
    found = {names.STATIC_CONFIG: hashlib.sha256(text.encode()).hexdigest()}
    revision = backend.revision_in(copy)
    return {**found, backend.ANNOTATION: revision} if revision else found


def _resources(registry: Registry) -> dict[str, dict[str, str]]:
    """Defaults under what the spec asks for; a default gives way where the two would collide."""
    asked = registry.spec.pod.resources
    limits = {
        name: max(amount, asked.requests.get(name, amount)) for name, amount in _LIMITS.items()
    } | dict(asked.limits)
    requests = {
        name: min(amount, limits.get(name, amount)) for name, amount in _REQUESTS.items()
    } | dict(asked.requests)
    return {
        "requests": {name: str(amount) for name, amount in requests.items()},
        "limits": {name: str(amount) for name, amount in limits.items()},
    }
