# SPDX-License-Identifier: Apache-2.0
"""A registry on the fake cluster whose certificate comes from elsewhere."""

from typing import Any

from cais_operator import names
from support.issuing import issuer
from support.operator_bench import Bench

HOST = "registry.example.com"
SERVICE = "team.team-a.svc"
ROOT = issuer()
ASKED: dict[str, Any] = {"tls": {"certManager": {"issuerRef": {"name": "ca"}}}}


def bring(made: Bench, data: dict[str, str]) -> None:
    """Put or change the user's Secret."""
    made.cluster.put({"kind": "Secret", "metadata": {"name": "own"}, "data": data})


def respec(made: Bench, spec: dict[str, Any]) -> None:
    live = made.cluster.objects[names.KIND, "team-a", "team"]
    live["metadata"]["generation"] += 1
    made.cluster.put({**live, "spec": spec})


def published(made: Bench) -> str | None:
    live = made.cluster.objects.get(("ConfigMap", "team-a", "team-ca"))
    return live["data"]["ca.crt"] if live else None


def served(made: Bench) -> str:
    return made.text("team-tls", "tls.crt")


def words(made: Bench, kind: str = "CertificateReady") -> tuple[str, str]:
    found = made.condition(kind)
    return (found["status"], found["reason"]) if found else ("", "")


def certificate(made: Bench) -> dict[str, Any]:
    """What cert-manager was asked for."""
    found: dict[str, Any] = made.cluster.objects["Certificate", "team-a", "team-certificate"]
    return found
