# SPDX-License-Identifier: Apache-2.0
"""A Registry that names ServiceAccounts gets the cluster's keys, whatever the API server does."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cais_operator import errors, identities
from cais_operator.cluster import Children
from cais_operator.consumers import Directory
from cais_operator.identities import DISCOVERY, KEYS
from cais_operator.reconcile import Reconciler
from cais_operator.restarts import Restarts
from cais_operator.rotation import Turns
from cais_operator.world import World
from operator_builders import NOW, SETTINGS, nobody_else, registry
from support.issuer import published, rsa
from support.operator_bench import KEY, Bench, bench

pytestmark = pytest.mark.usefixtures("cheap_hashes")

ISSUER = "https://kubernetes.default.svc"
PUSHER = {
    "serviceAccounts": [{"namespace": "builds", "name": "pusher"}, {"namespace": "tests"}],
    "repositories": ["apps/**"],
    "actions": ["pull", "push"],
}
MIXED = {**PUSHER, "users": ["ci"]}
NAMES = ["system:serviceaccount:builds:pusher", "system:serviceaccount:tests:*"]


def named(*rules: dict[str, Any]) -> dict[str, Any]:
    return {"access": {"users": [{"name": "ci"}], "rules": list(rules or (PUSHER,))}}


def answers(made: Bench, keys: bytes | Exception | None = None, issuer: str = ISSUER) -> None:
    made.cluster.documents[DISCOVERY] = json.dumps({"issuer": issuer}).encode()
    made.cluster.documents[KEYS] = published(rsa()) if keys is None else keys


def kids(made: Bench) -> list[str]:
    return [key["kid"] for key in json.loads(made.written()["kubernetes-jwks.json"])["keys"]]


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def operator(made: Bench, clock: Clock) -> Reconciler:
    found = Reconciler(
        turns=Turns(),
        restarts=Restarts(Children(), SETTINGS, lambda _: None),
        cluster=made.cluster,
        children=Children(),
        directory=Directory(),
        server=made.server,
        settings=SETTINGS,
        take=nobody_else,
        now=lambda: NOW,
    )
    found._identities = identities.Identities(made.cluster, clock)
    return found


def questions(made: Bench) -> int:
    return made.cluster.requests.count(("get", "", KEYS))


async def test_the_server_is_told_issuer_keys_audience_and_names() -> None:
    made = bench(named())
    answers(made)
    await made.settle()
    (issuer,) = made.access()["issuers"]
    assert issuer == {
        "issuer": ISSUER,
        "kind": "kubernetes",
        "audiences": ["https://team.team-a.svc:5000"],
        "jwksFile": "/etc/cais/config/kubernetes-jwks.json",
        "algorithms": ["RS256", "ES256", "ES384", "ES512"],
    }
    assert made.access()["rules"][-1]["identities"] == NAMES
    assert made.access()["rules"][-1]["users"] == []
    assert kids(made) == ["one"]
    told = made.condition("IdentitiesReady")
    assert (told["status"], told["reason"]) == ("True", "KeysRead")
    assert "https://team.team-a.svc:5000" in told["message"]


async def test_a_registry_that_names_no_service_account_asks_for_nothing() -> None:
    made = bench(named({"users": ["ci"], "repositories": ["**"], "actions": ["pull"]}))
    answers(made)
    await made.settle()
    assert questions(made) == 0
    assert set(made.written()) == {"server.yaml"}
    assert "issuers" not in made.access()
    assert made.condition("IdentitiesReady") == {}


async def test_the_server_has_to_load_the_keys_too() -> None:
    made = bench(named())
    answers(made)
    await made.settle()
    made.run_pods()
    await made.operator().reconcile(KEY)
    assert "kubernetes-jwks.json" in made.condition("Ready")["message"]


async def test_a_look_at_what_is_settled_writes_nothing_and_asks_once_a_while() -> None:
    made, clock = bench(named()), Clock()
    answers(made)
    running = operator(made, clock)
    for _ in range(3):
        await running.reconcile(KEY)
    made.cluster.requests.clear()
    for _ in range(5):
        await running.reconcile(KEY)
    assert (made.cluster.writes, questions(made)) == ([], 0)
    clock.now += 300
    answers(made, published(rsa(), x5c=["told in other words"]))
    await running.reconcile(KEY)
    await running.reconcile(KEY)
    assert (made.cluster.writes, questions(made)) == ([], 1)


async def test_new_keys_reach_the_server() -> None:
    made, clock = bench(named()), Clock()
    answers(made)
    running = operator(made, clock)
    await running.reconcile(KEY)
    answers(made, published(rsa(), rsa("two")))
    clock.now += 300
    await running.reconcile(KEY)
    assert kids(made) == ["one", "two"]


DOWN = {
    "down": errors.ApiUnavailable("the API server cannot be reached"),
    "not published": errors.NotFound("/openid/v1/jwks: not found"),
    "forbidden": errors.Rejected(
        status=403, reason="Forbidden", message="forbidden: no", subject="/openid/v1/jwks"
    ),
    "broken": b"{",
    "empty": b'{"keys": []}',
    "weak": published(rsa("weak", 1024)),
}


@pytest.mark.parametrize("failure", DOWN.values(), ids=DOWN.keys())
async def test_without_keys_service_accounts_are_nobody_and_all_else_is_there(
    failure: bytes | Exception,
) -> None:
    made = bench(named(PUSHER, MIXED))
    answers(made, failure)
    await made.settle()
    assert set(made.written()) == {"server.yaml"}
    assert "issuers" not in made.access()
    assert [rule for rule in made.access()["rules"] if "identities" in rule] == []
    assert made.access()["rules"][-1]["users"] == ["ci"]
    told = made.condition("IdentitiesReady")
    assert (told["status"], told["reason"]) == ("False", "KeysMissing")
    assert ("bind the ClusterRole" in told["message"]) is isinstance(failure, errors.Rejected)
    assert made.condition("Ready")["status"] == "False"


@pytest.mark.parametrize("failure", DOWN.values(), ids=DOWN.keys())
async def test_keys_that_were_good_stay_while_there_are_no_new_ones(
    failure: bytes | Exception,
) -> None:
    made, clock = bench(named()), Clock()
    answers(made)
    running = operator(made, clock)
    await running.reconcile(KEY)
    before = made.written()
    answers(made, failure)
    clock.now += 300
    for found in (running, operator(made, clock)):  # also after a restart
        await found.reconcile(KEY)
        assert made.written() == before
        told = made.condition("IdentitiesReady")
        assert (told["status"], told["reason"]) == ("True", "KeysNotRenewed")
    clock.now += 15
    answers(made, published(rsa("two")))
    await running.reconcile(KEY)
    assert kids(made) == ["two"]
    assert made.condition("IdentitiesReady")["reason"] == "KeysRead"


async def test_keys_are_known_without_what_was_written_before() -> None:
    made, clock = bench(), Clock()
    answers(made)
    known = identities.Identities(made.cluster, clock)
    for _ in range(2):
        world = World()
        await known.look(registry(named()), world)
        assert world.observed.issuers.cluster is not None
        answers(made, errors.ApiUnavailable("down"))
        clock.now += 300


async def test_an_api_server_that_fails_is_not_asked_at_every_look() -> None:
    made, clock = bench(named()), Clock()
    answers(made, errors.ApiUnavailable("down"))
    running = operator(made, clock)
    for _ in range(4):
        await running.reconcile(KEY)
    assert questions(made) == 1


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"server.yaml": "{"},
        {"server.yaml": "{}"},
        {"server.yaml": '{"access": {"issuers": [{"kind": "oidc", "issuer": "x"}]}}'},
        {"server.yaml": '{"access": {"issuers": [{"kind": "kubernetes", "issuer": "x"}]}}'},
        {
            "server.yaml": '{"access": {"issuers": [{"kind": "kubernetes", "issuer": "x"}]}}',
            "kubernetes-jwks.json": '{"keys": []}',
        },
    ],
)
async def test_what_was_written_before_is_checked_before_it_is_used(data: dict[str, str]) -> None:
    made = bench(named())
    answers(made)
    await made.settle()
    made.cluster.objects["ConfigMap", "team-a", "team-config"]["data"] = data
    answers(made, errors.ApiUnavailable("down"))
    await made.operator().reconcile(KEY)
    assert made.condition("IdentitiesReady")["reason"] == "KeysMissing"


async def test_names_that_are_taken_out_of_the_rules_go_with_the_keys() -> None:
    made = bench(named())
    answers(made)
    await made.settle()
    made.cluster.change("Registry", "team", spec={"access": {"rules": []}})
    await made.settle()
    assert set(made.written()) == {"server.yaml"}
    assert made.condition("IdentitiesReady") == {}
