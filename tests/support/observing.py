# SPDX-License-Identifier: Apache-2.0
from collections.abc import Mapping
from typing import Any

from cais_operator import desired
from cais_operator.errors import Problem
from cais_operator.observed import Live, Observed, ServerState
from operator_builders import SETTINGS, authority, leaf, registry

WANTED = {"/etc/cais/config/server.yaml": "11", "/etc/cais/users/htpasswd": "22"}
USAGE = {
    "repositories": 2,
    "tags": 3,
    "bytes": 5_000_000,
    "bytesReclaimable": 1_000_000,
    "disk": {"capacity": 1 << 30, "available": 1 << 29, "reserve": 50 << 20},
    "storagePressure": False,
}
RUN = {
    "state": "Succeeded",
    "startedAt": "2026-03-01T03:17:00.5Z",
    "finishedAt": "2026-03-01T03:17:02.9+00:00",
    "durationSeconds": 2.4321,
    "blobsDeleted": 4,
    "bytesReclaimed": 4096,
    "message": "",
}
DRY_RUN = {**RUN, "message": "would delete 2 manifests"}
FAILED = {**RUN, "state": "Failed", "message": "the disk went away"}
LEAF = leaf()
PROBLEM = Problem(field="spec.a", value="b", rule="must be c")

SERVICE = ("Service", "team")
DEPLOYMENT = ("Deployment", "team")
CLAIM = ("PersistentVolumeClaim", "team-data")
TLS = ("Secret", "team-tls")
CA = ("ConfigMap", "team-ca")


def claim_of(phase: str = "Bound", capacity: str | None = "10Gi", **spec: Any) -> dict[str, Any]:
    made = desired.claim(registry(), SETTINGS, None)
    assert made is not None
    return {
        **made,
        "spec": {**made["spec"], **spec},
        "status": {"phase": phase, "capacity": {"storage": capacity} if capacity else {}},
    }


def resizing(kind: str, message: str) -> dict[str, Any]:
    """A claim of 10Gi whose volume has 5Gi still, and a condition of who makes it grow."""
    claim = claim_of(capacity="5Gi")
    claim["status"]["conditions"] = [{"type": kind, "status": "True", "message": message}]
    return claim


def deployment_of(generation: int = 1, observed: int = 1, available: int = 1) -> dict[str, Any]:
    return {
        "metadata": {"generation": generation},
        "status": {
            "observedGeneration": observed,
            "updatedReplicas": 1,
            "availableReplicas": available,
        },
    }


def children_of(**change: Live | None) -> dict[tuple[str, str], Live]:
    team = registry()
    found: dict[tuple[str, str], Live | None] = {
        SERVICE: {"spec": {"clusterIP": "10.96.7.7", "ports": [{"port": 5000}]}},
        DEPLOYMENT: deployment_of(),
        CLAIM: claim_of(),
        TLS: desired.tls_secret(team, SETTINGS, LEAF, authority()),
        CA: desired.ca_config_map(team, SETTINGS, authority().bundle),
    }
    keys = {"service": SERVICE, "deployment": DEPLOYMENT, "claim": CLAIM, "tls": TLS, "ca": CA}
    found |= {keys[name]: live for name, live in change.items()}
    return {key: live for key, live in found.items() if live is not None}


def server_of(**change: Any) -> ServerState:
    given: dict[str, Any] = {
        "files": WANTED,
        "usage": USAGE,
        "gc": {"last": RUN, "lastSuccess": RUN, "lastDryRun": DRY_RUN},
    }
    return ServerState(**{**given, **change})


def observed_of(*, server: ServerState | None = None, **change: Any) -> Observed:
    return Observed(
        children=children_of(**change), wanted_files=WANTED, server=server or server_of()
    )


def conditions_of(found: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    return {one["type"]: (one["status"], one["reason"]) for one in found["conditions"]}


def message_of(found: Mapping[str, Any], kind: str) -> str:
    return str(next(one["message"] for one in found["conditions"] if one["type"] == kind))
