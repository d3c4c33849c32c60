# SPDX-License-Identifier: Apache-2.0
"""The server: ServiceAccount and Deployment. Pure."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cais_operator import names, token_keys
from cais_operator.desired import pods
from cais_operator.desired.config import static_part
from cais_operator.desired.metadata import finish
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
    claim_name: str
    config_map_name: str
    tls: Mapping[str, Any]
    users_secret_name: str
    token_keys: Mapping[str, Any]


def service_account(registry: Registry, settings: Settings) -> Manifest:
    """Return the account of the server's and the garbage collection's pods; it has no token."""
    del settings
    context = _ServiceAccount(name=names.service_account(registry))
    return finish(render("service-account", context), registry)


def deployment(registry: Registry, settings: Settings) -> Manifest:
    """Return the server's Deployment: one pod, replaced only when the old one is gone.

    Nothing that the server reloads by itself (certificate, users, rules, keys, times) is in it, so
    that a change of those restarts no pod.
    """
    context = _Deployment(
        pod=pods.common(
            registry, settings, names.REGISTRY, {names.STATIC_CONFIG: _static_hash(settings)}
        ),
        name=names.deployment(registry),
        selector=names.selector(registry, names.REGISTRY),
        args=("serve", "--config", names.CONFIG_FILE),
        port=names.PORT,
        alive=_probe(registry, "/healthz"),
        ready=_probe(registry, "/readyz"),
        affinity=pods.normal(registry.spec.pod.affinity) or None,
        resources=_resources(registry),
        claim_name=names.claim(registry),
        config_map_name=names.config_map(registry),
        tls=pods.tls_source(registry),
        users_secret_name=names.users_secret(registry),
        token_keys=_token_keys(registry),
    )
    return finish(render("deployment", context), registry)


def _probe(registry: Registry, path: str) -> dict[str, Any]:
    return {"path": path, "port": "registry", "scheme": names.scheme(registry).upper()}


def _token_keys(registry: Registry) -> dict[str, Any]:
    """The Secret as a volume, readable by the pod's group."""
    items = [{"key": token_keys.FILE, "path": token_keys.FILE}]
    return {"secretName": names.token_keys_secret(registry), "defaultMode": 0o440, "items": items}


def _static_hash(settings: Settings) -> str:
    text = json.dumps(static_part(settings), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


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
