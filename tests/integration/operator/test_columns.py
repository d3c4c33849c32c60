# SPDX-License-Identifier: Apache-2.0
"""What `kubectl get` shows of our kinds: a real API server makes the columns of a full status."""

import json
from typing import Any

import pytest

from support.operators import Place

TABLE = "application/json;as=Table;g=meta.k8s.io;v=v1"
THEN = "2026-01-02T03:04:05Z"
READY = {
    "type": "Ready",
    "status": "True",
    "reason": "Serving",
    "message": "as it should be",
    "lastTransitionTime": THEN,
    "observedGeneration": 1,
}
SPECS: dict[str, dict[str, Any]] = {
    "Registry": {"quota": "8Gi"},
    "RegistryAccess": {
        "registryRef": {"name": "team", "namespace": "team-b"},
        "repositories": ["**"],
        "actions": ["pull"],
        "secretName": "registry",
    },
}
STATUSES: dict[str, dict[str, Any]] = {
    "Registry": {
        "conditions": [READY],
        "url": "https://registry.example.com",
        "version": "1.2.3",
        "storage": {"claimName": "team-data", "used": "3Gi", "capacity": "10Gi"},
        "certificate": {"notAfter": THEN},
        "garbageCollection": {
            "bytesReclaimable": 7,
            "bytesReclaimed": 5,
            "lastSuccessTime": THEN,
        },
    },
    "RegistryAccess": {
        "conditions": [READY],
        "registry": "registry.example.com",
        "credential": {"rotationTime": THEN},
    },
}
AGE = "an age"
# By name: whether `kubectl get` shows it without `-o wide`, and what.
COLUMNS: dict[str, dict[str, tuple[bool, object]]] = {
    "Registry": {
        "Name": (True, "team"),
        "Ready": (True, "True"),
        "Reason": (True, "Serving"),
        "URL": (True, "https://registry.example.com"),
        "Used": (True, "3Gi"),
        "Capacity": (True, "10Gi"),
        "Version": (False, "1.2.3"),
        "Quota": (False, "8Gi"),
        "Reclaimable": (False, 7),
        "Reclaimed": (False, 5),
        "Last GC": (False, AGE),
        "Certificate Until": (False, THEN),
        "Age": (True, AGE),
    },
    "RegistryAccess": {
        "Name": (True, "team"),
        "Ready": (True, "True"),
        "Reason": (True, "Serving"),
        "Registry": (True, "registry.example.com"),
        "Secret": (True, "registry"),
        "Rotation": (False, THEN),
        "Age": (True, AGE),
    },
}


def _table(place: Place, kind: str) -> dict[str, tuple[bool, object]]:
    """What is shown of the one object: by column whether always, and the cell."""
    found = place.api.request("GET", place.path(kind), accept=TABLE)
    (row,) = found["rows"]
    columns = found["columnDefinitions"]
    ages = {column["name"] for column in columns if column["type"] == "date"}
    shown = {}
    for column, cell in zip(columns, row["cells"], strict=True):
        name = column["name"]
        assert cell not in {"", "<none>", "<unknown>"}, name
        shown[name] = (not column["priority"], AGE if name in ages and cell else cell)
    return shown


@pytest.mark.parametrize("kind", COLUMNS)
def test_each_column_shows_what_the_status_says(place: Place, kind: str) -> None:
    body = {
        "apiVersion": "cais.dev/v1alpha1",
        "kind": kind,
        "metadata": {"name": "team"},
        "spec": SPECS[kind],
    }
    place.api.request("POST", f"{place.path(kind)}?fieldValidation=Strict", body)
    told = f"{place.path(kind, 'team')}/status?fieldValidation=Strict"
    change = {"status": STATUSES[kind]}
    place.api.request("PATCH", told, change, "application/merge-patch+json")
    shown = _table(place, kind)
    assert shown == COLUMNS[kind], json.dumps(shown)
    assert list(shown) == list(COLUMNS[kind])
