# SPDX-License-Identifier: Apache-2.0
"""What the operator is told at its start; read once by `__main__`, then handed in."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Literal

from cais_operator import __version__


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Settings of one operator process.

    Attributes:
        namespaces: Namespaces to look at; empty means all.
        kubeconfig: File to reach the API server with; None means in-cluster, then the default.
        system_namespace: Where the installation's CA Secret and Lease live.
        role: Name of the installation's ClusterRole, or of its Role in each of the namespaces.
        registry_image: Image of the registry server.
        image_pull_policy: For every pod made by the operator.
        image_pull_secrets: Names of pull Secrets in each Registry's namespace.
        cluster_domain: DNS domain of the cluster.
        health_listen: `host:port` of /healthz, /readyz and /metrics.
        registry_listen: Address that registries' pods listen at: all of IPv4, or `::` for IPv6 too.
        ip_family_policy: Of the registries' Services; empty leaves it to the cluster.
        resync: Seconds after which every server is asked again, and with it what no watch shows.
        workers: Registries reconciled at once.
        ca_overlap: How long clients have both CAs, before certificates change and after.
        ca_renew_before: How long before its end the CA is replaced, at most a third of its life.
        rollout_max_concurrent: Servers that restart at the same time for an upgrade.
        rollout_max_failed: So many that did not become ready again, and no other is restarted.
        rollout_deadline: After which a server that is not ready again has failed.
        leader_elect: Whether a Lease decides which replica works.
        node_trust: Namespace of the ConfigMap that tells nodes of the registries; empty: none.
        log_format: `auto` is text on a terminal, else JSON.
    """

    namespaces: tuple[str, ...] = ()
    kubeconfig: Path | None = None
    system_namespace: str = "cais-system"
    role: str = ""
    registry_image: str = f"cais-registry:{__version__}"
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] = "IfNotPresent"
    image_pull_secrets: tuple[str, ...] = ()
    cluster_domain: str = "cluster.local"
    health_listen: str = "0.0.0.0:8080"
    registry_listen: Literal["0.0.0.0", "::"] = "0.0.0.0"  # noqa: S104 - in a pod of its own
    ip_family_policy: Literal["", "SingleStack", "PreferDualStack", "RequireDualStack"] = ""
    resync: float = 300.0
    workers: int = 8
    ca_overlap: timedelta = timedelta(hours=24)
    ca_renew_before: timedelta = timedelta(days=365)
    rollout_max_concurrent: int = 5
    rollout_max_failed: int = 5
    rollout_deadline: timedelta = timedelta(minutes=10)
    leader_elect: bool = True
    node_trust: str = ""
    log_format: Literal["auto", "json", "text"] = "auto"
