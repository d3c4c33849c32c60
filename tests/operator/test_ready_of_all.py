# SPDX-License-Identifier: Apache-2.0
"""Whatever child the API server does not take, the Registry is not Ready, and says why."""

from typing import Any

import pytest

from cais_operator.cluster import CHILD_KINDS, OPTIONAL_KINDS
from cais_operator.errors import Rejected
from operator_builders import encoded
from support.crd_storage_cases import bucket
from support.operator_bench import EVERYTHING, KEY, Bench, bench

EDGE = {"parentRefs": [{"name": "edge", "namespace": "gateways"}]}
HOST = "registry.example.com"
REASONS = {"Certificate": "CertificateRefused"} | dict.fromkeys(
    ("Ingress", "HTTPRoute", "BackendTLSPolicy"), "ExposureRefused"
)
SPECS: dict[str, tuple[dict[str, Any], set[tuple[str, str]]]] = {
    "on a volume": (
        {"access": {"users": [{"name": "ci"}]}},
        EVERYTHING | {("Secret", "team-user-ci")},
    ),
    "by an Ingress": ({"expose": {"type": "Ingress", "hostnames": [HOST]}}, {("Ingress", "team")}),
    "over a bucket": (
        bucket(replicas=2),
        {("Secret", "team-backend"), ("PodDisruptionBudget", "team"), ("Deployment", "team")},
    ),
    "by a Gateway": (
        {"expose": {"type": "Gateway", "hostnames": [HOST], "gateway": EDGE}},
        {("HTTPRoute", "team"), ("BackendTLSPolicy", "team")},
    ),
    "by cert-manager": (
        {"tls": {"certManager": {"issuerRef": {"name": "someone"}}}},
        {("Certificate", "team-certificate")},
    ),
}
BACKEND = {
    "keys": {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"},
    "database": {"uri": "postgresql://u:p@db.example.com/cais"},
}


def refuse(made: Bench, child: tuple[str, str]) -> None:
    """The API server takes no such child any more."""

    def judge(verb: str, kind: str, name: str) -> None:
        if (kind, name) == child and verb not in ("get", "list", "delete"):
            message = f"{kind} {name}: exceeded quota"
            raise Rejected(status=403, reason="Forbidden", message=message, subject="it")

    made.cluster.before = judge


def begun(what: str) -> Bench:
    made = bench(SPECS[what][0])
    for name, texts in BACKEND.items():
        data = {key: encoded(text) for key, text in texts.items()}
        made.cluster.put({"kind": "Secret", "metadata": {"name": name}, "data": data})
    return made


@pytest.mark.parametrize("what", SPECS)
async def test_each_child_that_is_refused_takes_ready_away(what: str) -> None:
    made = begun(what)
    await made.settle()
    for child in sorted(SPECS[what][1]):
        kind, name = child
        taken = made.cluster.objects.pop((kind, "team-a", name))
        refuse(made, child)
        await made.operator().reconcile(KEY)
        ready = made.condition("Ready")
        assert (ready["status"], ready["reason"]) == ("False", REASONS.get(kind, "Rejected"))
        assert f"{kind} {name}: exceeded quota" in ready["message"]
        assert made.condition("Stalled"), child
        made.cluster.objects[kind, "team-a", name] = taken
    made.cluster.before = lambda *_: None
    await made.settle()
    assert not made.condition("Stalled")


def test_every_kind_of_child_is_tried() -> None:
    kinds = {kind.name for kind in (*CHILD_KINDS, *OPTIONAL_KINDS)} - {"Job"}
    assert {kind for _, made in SPECS.values() for kind, _ in made} == kinds
