# SPDX-License-Identifier: Apache-2.0
"""Pods of which only one thing matters: whether the kubelet could pull their image."""

import json
from typing import Any

from e2e.kit import Tenant


def restricted(container: dict[str, Any], **spec: Any) -> dict[str, Any]:
    """Return the spec of a Pod of one container that a restricted namespace admits."""
    drops = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    security = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    return {
        "containers": [{**container, "securityContext": drops}],
        "securityContext": security,
    } | spec


def pod(image: str, namespace: str, **spec: Any) -> dict[str, Any]:
    """Return a Pod of an image in which nothing runs."""
    container = {"name": "app", "image": image, "imagePullPolicy": "Always", "command": ["/none"]}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "app", "namespace": namespace},
        "spec": restricted(container, restartPolicy="Never", **spec),
    }


def pulled(tenant: Tenant, image: str) -> list[str]:
    """Return the Events that say so."""
    select = "involvedObject.name=app,reason=Pulled"
    found = tenant.kubectl("get", "events", "--field-selector", select, "-o", "json")
    messages = [item["message"] for item in json.loads(found)["items"]]
    return [message for message in messages if f'Successfully pulled image "{image}"' in message]
