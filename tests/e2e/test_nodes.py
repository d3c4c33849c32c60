# SPDX-License-Identifier: Apache-2.0
"""Nodes are told of registries by a pod of the chart."""

from collections.abc import Callable

from clusterkit.places import NODE
from demo.setup import CERTS
from e2e.kit import Answer, Tenant, until
from e2e.pods import pod, pulled


def on_node(tenant: Tenant, *command: str) -> Answer:
    return tenant.cluster.run("docker", "exec", NODE, *command)


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
