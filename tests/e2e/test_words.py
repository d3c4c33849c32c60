# SPDX-License-Identifier: Apache-2.0
"""What kubectl says: to those who ask, and to those whose spec is wrong."""

from typing import Any

import pytest

from e2e.kit import Cluster, Tenant, condition, until

BROKEN: list[tuple[str, dict[str, Any], list[str]]] = [
    (
        "two storage kinds",
        {
            "storage": {"volume": {}, "s3": {"bucket": "b", "secretRef": {"name": "keys"}}},
            "database": {"secretRef": {"name": "url"}},
        },
        ["spec.storage", "volume", "s3"],
    ),
    ("unknown field", {"storag": {}}, ["storag", "unknown field"]),
    (
        "negative size",
        {"storage": {"volume": {"size": "-1Gi"}}},
        ["spec.storage.volume.size", "-1Gi"],
    ),
    ("size of nothing", {"storage": {"volume": {"size": "0"}}}, ["size", "more than zero"]),
    ("bad cron line", {"garbageCollection": {"schedule": "every day"}}, ["schedule", "every day"]),
    (
        "user named twice",
        {"access": {"users": [{"name": "a"}, {"name": "a"}]}},
        ["users", "Duplicate"],
    ),
    (
        "user of the operator",
        {"access": {"users": [{"name": "admin"}]}},
        ["admin", "choose another"],
    ),
    (
        "rule for a stranger",
        {"access": {"rules": [{"users": ["x"], "repositories": ["**"], "actions": ["pull"]}]}},
        ["rule", "spec.access.users"],
    ),
    (
        "action that is none",
        {"access": {"anonymous": ["push"]}},
        ["anonymous", "push", "pull"],
    ),
    (
        "renewed before it is issued",
        {"tls": {"issued": {"validity": "1h", "renewBefore": "2h"}}},
        ["renewBefore", "less than validity"],
    ),
    ("exposed by magic", {"expose": {"type": "Magic"}}, ["expose.type", "Magic", "ClusterIP"]),
    ("replicas on one volume", {"pod": {"replicas": 2}}, ["spec.pod.replicas", "one server"]),
]


@pytest.mark.parametrize(
    ("spec", "words"), [case[1:] for case in BROKEN], ids=[c[0] for c in BROKEN]
)
def test_broken_spec_is_refused_with_field_and_reason(
    cluster: Cluster, spec: dict[str, Any], words: list[str]
) -> None:
    tenant = Tenant(cluster=cluster, namespace="default", name="broken")
    answer = cluster.apply(tenant.manifest() | {"spec": spec})
    assert answer.code != 0
    for word in words:
        assert word in answer.err
    assert tenant.get("registry", "broken") is None


def test_volume_cannot_shrink(tenant: Tenant) -> None:
    tenant.apply(storage={"volume": {"size": "128Mi"}})
    answer = tenant.cluster.apply(tenant.manifest(storage={"volume": {"size": "64Mi"}}))
    assert answer.code != 0
    assert "cannot shrink" in answer.err


def test_what_only_the_operator_can_see_is_stalled_with_its_reason(tenant: Tenant) -> None:
    tenant.apply(garbageCollection={"timeZone": "Europe/Nowhere"})

    def stalled() -> dict[str, Any]:
        return condition(tenant.get("registry", "team") or {}, "Stalled")

    found = until(stalled, lambda entry: entry.get("status") == "True")
    assert "Europe/Nowhere" in found["message"]


def test_get_has_the_columns_one_looks_for(settled: Tenant) -> None:
    head, row = settled.kubectl("get", "registry").splitlines()
    assert head.split() == ["NAME", "READY", "REASON", "URL", "USED", "CAPACITY", "AGE"]
    assert row.split()[:2] == ["team", "True"]
    assert f"https://{settled.address}" in row
    assert settled.kubectl("get", "reg", "-o", "name").strip() == "registry.cais.dev/team"


def test_describe_tells_conditions_and_events_in_words(settled: Tenant) -> None:
    told = settled.kubectl("describe", "registry", "team")
    assert "Ready" in told
    assert "Events:" in told
    assert "Events:  <none>" not in told.replace("         ", "  ")
    for secret in ("team-admin", "team-pull"):
        assert settled.secret(secret, "password") not in told


def test_explain_documents_the_fields(cluster: Cluster) -> None:
    told = cluster.kubectl("explain", "registry.spec.storage.volume.onDelete")
    assert "Retain" in told
    assert "claim" in told
