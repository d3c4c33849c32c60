# SPDX-License-Identifier: Apache-2.0
"""Whatever child the API server does not take, the Registry is not Ready, and says why."""

import pytest

from cais_operator.cluster import CHILD_KINDS, OPTIONAL_KINDS
from cais_operator.errors import Rejected
from operator_builders import encoded
from support.children import ASKED
from support.operator_bench import KEY, Bench, bench

REASONS = {"Certificate": "CertificateRefused"} | dict.fromkeys(
    ("Ingress", "HTTPRoute", "BackendTLSPolicy"), "ExposureRefused"
)
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
    made = bench(ASKED[what].spec)
    for name, texts in BACKEND.items():
        data = {key: encoded(text) for key, text in texts.items()}
        made.cluster.put({"kind": "Secret", "metadata": {"name": name}, "data": data})
    return made


@pytest.mark.parametrize("what", ASKED)
async def test_each_child_that_is_refused_takes_ready_away(what: str) -> None:
    made = begun(what)
    await made.settle()
    for child in ASKED[what].children:
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
    assert {kind for asked in ASKED.values() for kind, _ in asked.children} == kinds
