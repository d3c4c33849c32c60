# SPDX-License-Identifier: Apache-2.0
"""Nodes are told of registries by a pod of the chart."""

import json
from collections.abc import Callable
from typing import Any

from clusterkit.places import NODE
from demo.setup import CERTS
from e2e.kit import Answer, Tenant, until


def on_node(tenant: Tenant, *command: str) -> Answer:
    return tenant.cluster.run("docker", "exec", NODE, *command)


def pod(image: str, namespace: str) -> dict[str, Any]:
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


def test_a_pod_of_any_namespace_pulls_with_no_change_on_the_node_by_hand(
    new_tenant: Callable[[], Tenant],
) -> None:
    tenant, elsewhere = new_tenant(), new_tenant()
    tenant.apply(access={"anonymous": ["pull"]})
    tenant.wait_ready()
    tenant.log_in_as_admin()
    tenant.push("app:1")
    image = f"{tenant.address}/app:1"
    assert elsewhere.cluster.apply(pod(image, elsewhere.namespace)).code == 0
    until(lambda: pulled(elsewhere, image), bool)
    folder = f"{CERTS}/{tenant.address}"
    assert "Written by Cais" in on_node(tenant, "cat", f"{folder}/hosts.toml").out
    tenant.kubectl("delete", "registry", "team")
    until(lambda: on_node(tenant, "test", "-e", folder).code, lambda code: code == 1)


def test_what_is_in_the_way_on_a_node_stays_and_is_told_by_the_pod_there(tenant: Tenant) -> None:
    folder = f"{CERTS}/{tenant.address}"
    assert on_node(tenant, "mkdir", "-p", folder).code == 0
    try:
        tenant.apply()
        tenant.wait_ready()
        select = ["--field-selector", "reason=Unhealthy", "-o", "json"]

        def told() -> str:
            return tenant.cluster.kubectl("-n", "cais-system", "get", "events", *select)

        until(told, lambda found: f"{folder} is not ours" in found)
        assert on_node(tenant, "ls", "-A", folder) == Answer(code=0, out="", err="")
    finally:
        on_node(tenant, "rmdir", folder)
    status = ["rollout", "status", "daemonset/cais-node-trust", "--timeout=120s"]
    tenant.cluster.kubectl("-n", "cais-system", *status)
