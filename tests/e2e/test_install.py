# SPDX-License-Identifier: Apache-2.0
"""Ways to install the operator, and what it costs to run."""

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from demo.setup import tags
from e2e.kit import Cluster, Tenant, until

pytestmark = pytest.mark.alone
SYSTEM = "cais-system"
OPERATOR = "app.kubernetes.io/name=cais-operator"


def upgrade(cluster: Cluster, *values: str) -> None:
    """Install with the chart's defaults and these values, and wait until nothing old is left."""
    images = [f"image.{t}.tag={tag}" for t, tag in tags(cluster.place.machine).items()]
    # an operator of some namespaces has nothing to say to nodes
    nodes = not any(value.startswith("watchNamespaces") for value in values)
    images.append(f"nodeTrust.enabled={str(nodes).lower()}")
    settings = [word for value in (*images, *values) for word in ("--set", value)]
    command = ["helm", "upgrade", "--install", "cais", "charts/cais", "--namespace", SYSTEM]
    cluster.must(*command, "--reset-values", *settings)
    cluster.kubectl("-n", SYSTEM, "rollout", "status", "deployment/cais-operator", "--timeout=120s")
    wanted = 2 if "replicas=2" in values else 1
    until(lambda: len(operator_pods(cluster)), lambda count: count == wanted)


def operator_pods(cluster: Cluster) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(
        cluster.kubectl("-n", SYSTEM, "get", "pods", "-l", OPERATOR, "-o", "json")
    )["items"]
    return found


def leader(cluster: Cluster) -> str:
    """Return the name of the pod that holds the Lease; empty when none does."""
    lease = cluster.get("lease", "cais-operator", SYSTEM) or {}
    return str(lease.get("spec", {}).get("holderIdentity") or "").partition("_")[0]


@pytest.fixture(scope="module")
def install(cluster: Cluster) -> Iterator[Callable[..., None]]:
    """Installs with other values; whatever was last, in the end it is as it was."""
    yield lambda *values: upgrade(cluster, *values)
    upgrade(cluster)


def test_named_namespaces_are_looked_after_with_rights_in_them_only(
    install: Callable[..., None], new_tenant: Callable[[], Tenant]
) -> None:
    named, other = new_tenant(), new_tenant()
    install(f"watchNamespaces={{{named.namespace}}}")
    named.apply()
    other.apply()
    named.wait_ready()
    account = f"--as=system:serviceaccount:{SYSTEM}:cais-operator"
    may = ["kubectl", "auth", "can-i", "get", "secrets", account, "--namespace"]
    assert named.cluster.run(*may, named.namespace).out.strip() == "yes"
    assert named.cluster.run(*may, other.namespace).out.strip() == "no"
    assert (other.get("registry", "team") or {})["status"] == {"observedGeneration": -1}
    install()
    other.wait_ready()


def test_second_replica_takes_over_from_a_lost_leader(
    install: Callable[..., None], tenant: Tenant
) -> None:
    install("replicas=2")
    cluster = tenant.cluster
    first = until(lambda: leader(cluster), bool)
    cluster.kubectl("-n", SYSTEM, "delete", "pod", first, "--grace-period=0", "--force")
    tenant.apply()
    tenant.wait_ready()
    assert leader(cluster) not in {"", first}


def marks(cluster: Cluster) -> str:
    """What says that an installation looks after a namespace, or the cluster."""
    label = "app.kubernetes.io/component=installation"
    return cluster.kubectl("get", "configmaps", "-A", "-l", label, "-o", "name")


def test_removed_release_leaves_registries_serving_and_a_new_one_takes_them_on(
    install: Callable[..., None], tenant: Tenant
) -> None:
    tenant.apply()
    tenant.wait_ready()
    tenant.log_in_as_admin()
    digest = tenant.push("apps/kept:1")
    cluster = tenant.cluster
    cluster.must("helm", "uninstall", "cais", "--namespace", SYSTEM, "--wait")
    until(lambda: operator_pods(cluster), lambda pods: not pods)
    until(lambda: marks(cluster), lambda left: not left)  # else no other could take them on
    assert tenant.get("registry", "team")
    assert tenant.digest("apps/kept:1") == digest
    install()
    tenant.kubectl("delete", "configmap", "team-ca")
    until(lambda: tenant.get("configmap", "team-ca"), bool)


PSS = "for p in /proc/[0-9]*; do grep -qa serve $p/cmdline && grep ^Pss: $p/smaps_rollup; done"


def age(pod: Mapping[str, Any]) -> timedelta:
    return datetime.now(UTC) - datetime.fromisoformat(pod["metadata"]["creationTimestamp"])


def test_idle_footprint(install: Callable[..., None], tenant: Tenant) -> None:
    tenant.apply()
    tenant.wait_ready()
    if any(age(pod) > timedelta(minutes=1) for pod in operator_pods(tenant.cluster)):
        install("podAnnotations.fresh=yes")  # a new process, that has seen nothing before
    told = tenant.kubectl("exec", "deployment/team", "--", "sh", "-c", f"{PSS}; true")
    server = sum(int(line.split()[1]) for line in told.splitlines()) / 1024
    status = ["exec", "deployment/cais-operator", "--", "grep", "VmRSS", "/proc/1/status"]
    operator = int(tenant.cluster.kubectl("-n", SYSTEM, *status).split()[1]) / 1024
    print(f"idle: server {server:.0f} MiB PSS, operator {operator:.0f} MiB RSS")  # noqa: T201  # the figures are the point
    assert 20 < server < 65
    assert 20 < operator < 85
