# SPDX-License-Identifier: Apache-2.0
import json
from typing import Any

import pytest

from cais_operator import desired, plan
from cais_operator.observed import Live, Observed
from operator_builders import SETTINGS, registry, secret, with_users, with_volume

CLAIM = ("PersistentVolumeClaim", "team-data")
RULE = {"users": ["ci"], "repositories": ["**"], "actions": ["pull"]}
REF = {"name": "ci", "passwordSecretRef": {"name": "mine"}}
HUB = {"name": "hub", "issuer": "https://ci.example.com", "jwksRef": {"name": "hub-keys"}}


def _claim(size: str = "10Gi", storage_class: str | None = "fast") -> dict[str, Any]:
    made = desired.claim(registry(with_volume(size=size)), SETTINGS, None)
    assert made is not None
    return {**made, "spec": {**made["spec"], "storageClassName": storage_class}}


def _found(
    spec: dict[str, Any],
    children: dict[tuple[str, str], Live] | None = None,
    references: dict[str, Live | None] | None = None,
) -> list[tuple[str, object, str]]:
    observed = Observed(children=children or {}, references=references or {})
    return [(one.field, one.value, one.rule) for one in plan.problems(registry(spec), observed)]


@pytest.mark.parametrize(
    ("spec", "children", "references"),
    [
        ({}, {}, {}),
        ({}, {CLAIM: _claim()}, {}),
        (with_volume(size="20Gi"), {CLAIM: _claim()}, {}),
        (with_volume(storageClassName="fast"), {CLAIM: _claim()}, {}),
        ({}, {CLAIM: _claim("20Gi")}, {}),  # the default size never shrinks a claim
        (
            with_volume(existingClaim="old"),
            {("PersistentVolumeClaim", "old"): {"metadata": {"name": "old"}}},
            {},
        ),
        (with_users({"name": "ci"}, rules=(RULE,)), {}, {}),
        (with_users(REF), {}, {"mine": secret(password="pw")}),
        ({"expose": {"hostnames": ["svc.example.com"]}}, {}, {}),
        ({"expose": {"type": "NodePort", "nodePort": 30500}}, {}, {}),
        ({"quota": "1"}, {}, {}),
        ({"quota": "4Ei"}, {}, {}),
        ({"pod": {"labels": {"example.com/team": "a"}}}, {}, {}),
    ],
)
def test_what_can_be_done_is_not_refused(
    spec: dict[str, Any],
    children: dict[tuple[str, str], Live],
    references: dict[str, Live | None],
) -> None:
    assert _found(spec, children, references) == []


@pytest.mark.parametrize(
    ("spec", "field", "value", "words"),
    [
        ({"quota": "0Gi"}, "spec.quota", "0", "more than zero and at most 4Ei"),
        ({"quota": "5Ei"}, "spec.quota", "5Ei", "more than zero and at most 4Ei"),
        (with_volume(size="0"), "spec.storage.volume.size", "0", "more than zero"),
        (with_volume(existingClaim="old"), "spec.storage.volume.existingClaim", "old", "create it"),
        (with_users({"name": "pull"}), "spec.access.users[0].name", "pull", "is generated"),
        (
            with_users(rules=({**RULE, "users": ["admin"]},)),
            "spec.access.rules[0].users[0]",
            "admin",
            "known are none",
        ),
        (
            with_users({"name": "bo"}, rules=(RULE,)),
            "spec.access.rules[0].users[0]",
            "ci",
            "known are bo",
        ),
        (with_users(REF), "spec.access.users[0].passwordSecretRef.name", "mine", "no such Secret"),
        (
            {"expose": {"hostnames": ["other.team-b.svc.cluster.local"]}},
            "spec.expose.hostnames[0]",
            "other.team-b.svc.cluster.local",
            "may not be a Service's name",
        ),
        (
            {"expose": {"hostnames": ["other.team-b.svc"]}},
            "spec.expose.hostnames[0]",
            "other.team-b.svc",
            "may not be a Service's name",
        ),
        (
            {"expose": {"hostnames": ["other.team-b"]}},
            "spec.expose.hostnames[0]",
            "other.team-b",
            "must have two dots at least",
        ),
        ({"expose": {"nodePort": 30500}}, "spec.expose.nodePort", 30500, "needs type NodePort"),
        (
            {"tls": {"issued": {"validity": "24h", "renewBefore": "24h"}}},
            "spec.tls.issued.renewBefore",
            "24h",
            "less than the validity, 24h",
        ),
        (
            {"tls": {"issued": {"validity": "59m", "renewBefore": "0s"}}},
            "spec.tls.issued.validity",
            "59m",
            "must be at least 1h",
        ),
        (
            {"garbageCollection": {"undeleteWindow": "8761h"}},
            "spec.garbageCollection.undeleteWindow",
            "8761h",
            "at most 8760h",
        ),
        (
            {"pod": {"labels": {"app.kubernetes.io/name": "x"}}},
            "spec.pod.labels",
            "app.kubernetes.io/name",
            "may not begin with",
        ),
        (
            {"pod": {"annotations": {"cais.dev/nudge": "x"}}},
            "spec.pod.annotations",
            "cais.dev/nudge",
            "may not begin with",
        ),
    ],
)
def test_what_cannot_be_done_is_named_with_what_is_allowed(
    spec: dict[str, Any], field: str, value: object, words: str
) -> None:
    found = _found(spec)
    assert [one[:2] for one in found] == [(field, value)]
    assert words in found[0][2]


@pytest.mark.parametrize(
    ("second", "field", "words"),
    [
        ({"issuer": "https://two.example.com"}, "name", "must differ from each other"),
        ({"name": "two"}, "issuer", "the server tells them apart by it"),
    ],
)
def test_two_issuers_that_cannot_be_told_apart_are_named(
    second: dict[str, Any], field: str, words: str
) -> None:
    found = _found({"access": {"issuers": [HUB, {**HUB, **second}]}})
    fields = [f"spec.access.issuers[{at}].{field}" for at in (0, 1)]
    assert [one[:2] for one in found] == [(one, HUB[field]) for one in fields]
    assert words in found[0][2]


def test_no_issuer_is_called_as_that_of_the_registrys_own_tokens() -> None:
    own = "team.team-a.svc"
    config = json.loads(desired.config_map(registry(), SETTINGS)["data"]["server.yaml"])
    assert config["tokens"]["service"] == own
    found = _found({"access": {"issuers": [{**HUB, "issuer": own}]}})
    assert [one[:2] for one in found] == [("spec.access.issuers[0].issuer", own)]
    assert "the registry's own tokens" in found[0][2]


def test_both_users_of_one_name_are_told() -> None:
    found = _found(with_users({"name": "ci"}, {"name": "ci"}))
    assert [one[0] for one in found] == ["spec.access.users[0].name", "spec.access.users[1].name"]


def test_a_claim_never_shrinks() -> None:
    found = _found(with_volume(size="5Gi"), {CLAIM: _claim("10Gi")})
    assert found == [
        (
            "spec.storage.volume.size",
            "5Gi",
            "a volume cannot shrink: the claim has 10Gi already, ask for that or more",
        )
    ]


def test_a_claim_never_changes_its_class() -> None:
    found = _found(with_volume(storageClassName="slow"), {CLAIM: _claim()})
    assert found == [
        (
            "spec.storage.volume.storageClassName",
            "slow",
            "the storage class cannot change: the claim is of class fast",
        )
    ]


@pytest.mark.parametrize(
    ("live", "words"),
    [
        (secret(other="pw"), "Secret mine has no such key"),
        ({"metadata": {}}, "Secret mine has no such key"),
        (secret(password=""), "must hold a password of 1 to 72 bytes"),
        (secret(password="x" * 73), "must hold a password of 1 to 72 bytes"),
    ],
)
def test_a_secret_without_a_usable_password_is_refused(live: Live, words: str) -> None:
    found = _found(with_users(REF), references={"mine": live})
    assert [one[:2] for one in found] == [
        ("spec.access.users[0].passwordSecretRef.key", "password")
    ]
    assert words in found[0][2]


@pytest.mark.parametrize(
    "metadata",
    [
        {},
        {"labels": {"app.kubernetes.io/managed-by": "cais-operator"}},
        {
            "labels": {
                "app.kubernetes.io/managed-by": "cais-operator",
                "app.kubernetes.io/instance": "other",
            }
        },
        {"labels": {"app.kubernetes.io/instance": "team"}},
        {"annotations": {"cais.dev/registry": "other"}},
        {"ownerReferences": [{"uid": "uid-of-other"}]},
    ],
)
@pytest.mark.parametrize("kind", ["PersistentVolumeClaim", "Secret"])
def test_an_object_of_somebody_else_is_left_alone(kind: str, metadata: dict[str, Any]) -> None:
    found = _found({}, {(kind, "team-data"): {"metadata": metadata}})
    assert [one[:2] for one in found] == [("metadata.name", "team")]
    assert "team-data exists and is not of this Registry" in found[0][2]


@pytest.mark.parametrize(
    "metadata",
    [
        {
            "labels": {
                "app.kubernetes.io/managed-by": "cais-operator",
                "app.kubernetes.io/instance": "team",
            }
        },
        {"annotations": {"cais.dev/registry": "team"}},
        {"ownerReferences": [{"uid": "uid-of-team"}]},
    ],
)
def test_any_one_mark_makes_it_ours(metadata: dict[str, Any]) -> None:
    assert _found({}, {("Secret", "team-tls"): {"metadata": metadata}}) == []


def test_a_claim_of_somebody_else_can_be_used_by_its_name() -> None:
    found = _found({}, {CLAIM: {"metadata": {"name": "team-data"}}})
    assert "spec.storage.volume.existingClaim" in found[0][2]
