# SPDX-License-Identifier: Apache-2.0
"""Pods of which only one thing matters: whether the kubelet could pull their image."""

import json
from typing import Any

from e2e.kit import Tenant


def pod(image: str, namespace: str) -> dict[str, Any]:
    """Return a Pod of an image in which nothing runs."""
    container = {"name": "app", "image": image, "imagePullPolicy": "Always", "command": ["/none"]}
    metadata = {"name": "app", "namespace": namespace}
    spec = {"containers": [container], "restartPolicy": "Never"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def pulled(tenant: Tenant, image: str) -> list[str]:
    """Return the Events that say so."""
    select = "involvedObject.name=app,reason=Pulled"
    found = tenant.kubectl("get", "events", "--field-selector", select, "-o", "json")
    messages = [item["message"] for item in json.loads(found)["items"]]
    return [message for message in messages if f'Successfully pulled image "{image}"' in message]
