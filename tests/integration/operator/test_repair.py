# SPDX-License-Identifier: Apache-2.0
from collections.abc import Iterator
from typing import Any

import pytest

from support.apiserver import ApiServer, wait_for
from support.children import CHILDREN
from support.operators import Place, holds, new_place, operator


@pytest.fixture(scope="module")
def settled(api: ApiServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A Registry with all its children, and an operator that looks after it."""
    place = new_place(api)
    with operator(place, tmp_path_factory.mktemp("operator")):
        place.create_registry()
        place.wait_complete()
        yield place


@pytest.mark.parametrize(("kind", "name"), CHILDREN)
def test_a_deleted_child_comes_back(settled: Place, kind: str, name: str) -> None:
    before = settled.get(kind, name)
    assert before is not None
    if kind == "PersistentVolumeClaim":  # its protection would hold it until a controller comes
        settled.api.merge(settled.path(kind, name), {"metadata": {"finalizers": None}})
    settled.delete(kind, name)

    def is_back() -> bool:
        now = settled.get(kind, name)
        return now is not None and now["metadata"]["uid"] != before["metadata"]["uid"]

    wait_for(is_back, f"{kind} {name} is back")


def test_a_deleted_service_gets_its_address_back(settled: Place) -> None:
    before = settled.get("Service", "team")
    assert before is not None
    settled.delete("Service", "team")

    def back() -> dict[str, Any] | None:
        now = settled.get("Service", "team")
        is_new = now is not None and now["metadata"]["uid"] != before["metadata"]["uid"]
        return now if is_new else None

    after = wait_for(back, "the Service is back")
    assert after["spec"]["clusterIP"] == before["spec"]["clusterIP"]


EDITS = (
    ("Service", "team", {"spec": {"selector": {"app.kubernetes.io/name": "other"}}}),
    ("NetworkPolicy", "team", {"spec": {"policyTypes": ["Ingress"]}}),
    ("NetworkPolicy", "team.gc", {"spec": {"podSelector": {"matchLabels": {"a": "b"}}}}),
    ("ServiceAccount", "team", {"automountServiceAccountToken": True}),
    ("ConfigMap", "team-config", {"data": {"server.yaml": "{}"}}),
    ("ConfigMap", "team-ca", {"data": {"ca.crt": "none"}}),
    (
        "PersistentVolumeClaim",
        "team-data",
        {"metadata": {"annotations": {"cais.dev/registry": "x"}}},
    ),
    ("Secret", "team-tls", {"data": {"tls.crt": "eA=="}}),
    ("Secret", "team-gc", {"data": {"credentials": "eA=="}}),
    ("Secret", "team-pull", {"data": {".dockerconfigjson": "e30="}}),
    ("Secret", "team-users", {"data": {"htpasswd": "eA=="}}),
    ("Secret", "team-token-keys", {"data": {"keys": "eA=="}}),
    ("Deployment", "team", {"spec": {"replicas": 3}}),
    ("Deployment", "team", {"spec": {"strategy": {"type": "RollingUpdate"}}}),
    ("CronJob", "team-gc", {"spec": {"schedule": "0 0 1 1 *"}}),
    ("Service", "team", {"metadata": {"labels": {"app.kubernetes.io/instance": "other"}}}),
    ("ConfigMap", "team-ca", {"metadata": {"labels": {"app.kubernetes.io/managed-by": "me"}}}),
    ("Deployment", "team", {"metadata": {"ownerReferences": None}}),
)


@pytest.mark.parametrize(("kind", "name", "change"), EDITS)
def test_an_edited_child_is_put_right(
    settled: Place, kind: str, name: str, change: dict[str, Any]
) -> None:
    path = settled.path(kind, name)
    edited = settled.api.merge(path, change)
    assert holds(edited, change)

    def is_right() -> bool:
        now = settled.get(kind, name)
        return now is not None and not holds(now, change)

    wait_for(is_right, f"{kind} {name} is as it should be")
