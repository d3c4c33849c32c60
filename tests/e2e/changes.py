# SPDX-License-Identifier: Apache-2.0
"""Changes of users, rules and accesses, and how long each takes to show."""

import base64
import time
from collections.abc import Callable
from typing import Any

from e2e.kit import Tenant, condition, until

AIM = 5.0  # seconds from a change at the API server to its effect
BUSY = 3.0  # times as long as that may take on a machine that does all the rest, too


def took(change: Callable[[], object], came: Callable[[], bool]) -> float:
    """Make a change; return the seconds from its acceptance until it shows."""
    change()
    began = time.monotonic()
    until(came, bool)
    return time.monotonic() - began


def password(tenant: Tenant) -> str:
    found = tenant.get("secret", "team-user-ci")
    return base64.b64decode(found["data"]["password"]).decode() if found else ""


def status(tenant: Tenant, login: str) -> int:
    return tenant.ask("/v2/", user=login)[0]


def may_pull(tenant: Tenant, login: str) -> bool:
    """Tell whether a login is known and its rule is in force: one comes before the other."""
    return tenant.ask("/v2/kept/app/manifests/stays", user=login)[0] == 200


def named(consumer: Tenant, repositories: str) -> dict[str, Any]:
    """Return what lets the namespace of a consumer pull."""
    selector = {"matchLabels": {"kubernetes.io/metadata.name": consumer.namespace}}
    return {"namespaceSelector": selector, "repositories": [repositories], "actions": ["pull"]}


def asked(owner: Tenant, consumer: Tenant, repositories: str) -> dict[str, Any]:
    """Return the RegistryAccess with which the consumer asks to pull."""
    return {
        "apiVersion": "cais.dev/v1alpha1",
        "kind": "RegistryAccess",
        "metadata": {"name": "web", "namespace": consumer.namespace},
        "spec": {
            "registryRef": {"name": owner.name, "namespace": owner.namespace},
            "repositories": [repositories],
            "actions": ["pull"],
            "secretName": "registry",
            "serviceAccounts": ["default"],
        },
    }


def reason(consumer: Tenant) -> str:
    """Return why the access is ready, or not."""
    return str(condition(consumer.get("registryaccess", "web") or {}, "Ready").get("reason"))


def login(consumer: Tenant) -> str:
    """Return what a pod of the consumer logs in with now."""
    found = (consumer.secret("registry", key) for key in ("username", "password"))
    return ":".join(found)
