# SPDX-License-Identifier: Apache-2.0
"""What a Registry `team` owns, by what its spec asks for; every kind of child is among them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from support.crd_storage_cases import bucket

Child = tuple[str, str]  # kind and name

# Of each Registry on a volume.
CHILDREN: tuple[Child, ...] = (
    ("Service", "team"),
    ("NetworkPolicy", "team"),
    ("NetworkPolicy", "team.gc"),
    ("ServiceAccount", "team"),
    ("ConfigMap", "team-config"),
    ("ConfigMap", "team-ca"),
    ("PersistentVolumeClaim", "team-data"),
    ("Secret", "team-tls"),
    ("Secret", "team-admin"),
    ("Secret", "team-gc"),
    ("Secret", "team-pull"),
    ("Secret", "team-users"),
    ("Secret", "team-token-keys"),
    ("Deployment", "team"),
    ("CronJob", "team-gc"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A spec, and children that it asks for: of those of every Registry some that it changes."""

    spec: dict[str, Any]
    children: tuple[Child, ...]


_EDGE = {"parentRefs": [{"name": "edge", "namespace": "gateways"}]}
ON_A_VOLUME = Asked(
    spec={
        "access": {"users": [{"name": "ci"}]},
        "expose": {"type": "Ingress", "hostnames": ["registry.example.com"]},
    },
    children=(*CHILDREN, ("Secret", "team-user-ci"), ("Ingress", "team")),
)
OTHERS: Mapping[str, Asked] = {
    "over a bucket, by a Gateway": Asked(
        spec={
            **bucket(replicas=2),
            "expose": {"type": "Gateway", "hostnames": ["big.example.com"], "gateway": _EDGE},
        },
        children=(
            ("Deployment", "team"),
            ("PodDisruptionBudget", "team"),
            ("Secret", "team-backend"),
            ("HTTPRoute", "team"),
            ("BackendTLSPolicy", "team"),
        ),
    ),
    "by cert-manager": Asked(
        spec={"tls": {"certManager": {"issuerRef": {"name": "someone"}}}},
        children=(("Certificate", "team-certificate"),),
    ),
}
ASKED = {"on a volume, by an Ingress": ON_A_VOLUME, **OTHERS}
