# SPDX-License-Identifier: Apache-2.0
"""Issuers that a spec names bring their keys in a ConfigMap."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cais_operator import jwks
from cais_operator.identities import DISCOVERY, KEYS
from support.issuer import published, rsa
from support.operator_bench import Bench, bench

pytestmark = pytest.mark.usefixtures("cheap_hashes")

HUB = {
    "name": "hub",
    "issuer": "https://token.ci.example.com",
    "jwksRef": {"name": "hub-keys"},
    "claims": [{"name": "owner", "values": ["acme"]}],
}
RULE = {"identities": ["hub:repo:acme/*"], "repositories": ["apps/**"], "actions": ["push"]}


def hub(**changes: Any) -> dict[str, Any]:
    return {"access": {"issuers": [{**HUB, **changes}], "rules": [RULE]}}


def give(made: Bench, keys: str) -> None:
    body = {"kind": "ConfigMap", "metadata": {"name": "hub-keys"}, "data": {"jwks.json": keys}}
    made.cluster.put(body)


def kids(made: Bench) -> list[str]:
    return [key["kid"] for key in json.loads(made.written()["issuer-hub.json"])["keys"]]


def reason(made: Bench) -> tuple[str, str]:
    told = made.condition("IdentitiesReady")
    return told["status"], told["reason"]


GOOD = published(rsa()).decode()


async def test_the_server_is_told_the_issuer_with_its_keys() -> None:
    made = bench(hub())
    give(made, GOOD)
    await made.settle()
    assert made.access()["issuers"] == [
        {
            "issuer": "https://token.ci.example.com",
            "prefix": "hub",
            "audiences": ["https://team.team-a.svc:5000"],
            "jwksFile": "/etc/cais/config/issuer-hub.json",
            "algorithms": ["RS256", "ES256", "ES384", "ES512"],
            "maxLifetime": "1h",
            "claims": {"owner": ["acme"]},
        }
    ]
    assert made.access()["rules"][-1]["identities"] == ["hub:repo:acme/*"]
    assert kids(made) == ["one"]
    assert reason(made) == ("True", "KeysRead")
    assert made.cluster.documents == {}, "the cluster is not asked"
    made.cluster.requests.clear()
    await made.settle()
    assert made.cluster.writes == []


async def test_new_keys_reach_the_server() -> None:
    made = bench(hub())
    give(made, GOOD)
    await made.settle()
    give(made, published(rsa("two")).decode())
    await made.settle()
    assert kids(made) == ["two"]


async def test_without_the_config_map_nobody_of_the_issuer_can_log_in() -> None:
    made = bench(hub())
    await made.settle()
    assert "issuers" not in made.access()
    assert [rule for rule in made.access()["rules"] if "identities" in rule] == []
    assert reason(made) == ("False", "KeysMissing")
    assert "create it with the issuer" in made.condition("IdentitiesReady")["message"]
    assert made.condition("Ready")["status"] == "False"
    give(made, GOOD)
    await made.settle()
    assert reason(made) == ("True", "KeysRead")


async def test_keys_that_are_taken_away_are_gone() -> None:
    made = bench(hub())
    give(made, GOOD)
    await made.settle()
    del made.cluster.objects["ConfigMap", "team-a", "hub-keys"]
    await made.settle()
    assert set(made.written()) == {"server.yaml"}
    assert reason(made) == ("False", "KeysMissing")


BROKEN = ["", "<html>502 Bad Gateway</html>", '{"keys": []}', "x" * 70000]


@pytest.mark.parametrize("keys", BROKEN)
async def test_broken_keys_do_not_take_the_place_of_good_ones(keys: str) -> None:
    made = bench(hub())
    give(made, GOOD)
    await made.settle()
    give(made, keys)
    await made.settle()
    assert kids(made) == ["one"]
    assert reason(made) == ("True", "KeysNotRenewed")
    assert "ConfigMap hub-keys" in made.condition("IdentitiesReady")["message"]


async def test_with_broken_keys_what_somebody_else_wrote_is_not_believed() -> None:
    made = bench(hub())
    give(made, GOOD)
    await made.settle()
    made.written()["issuer-hub.json"] = jwks.canonical(published(rsa("theirs")))
    give(made, "{")
    await made.settle()
    assert set(made.written()) == {"server.yaml"}
    assert reason(made) == ("False", "KeysMissing")
    told = made.condition("IdentitiesReady")["message"]
    assert "is not JSON; the keys read before are not used" in told
    give(made, GOOD)
    await made.settle()
    assert kids(made) == ["one"]


async def test_an_issuer_that_becomes_the_clusters_own_is_left_out_and_all_else_goes_on() -> None:
    spec = hub()
    accounts = {**RULE, "serviceAccounts": [{"namespace": "builds"}]}
    spec["access"]["rules"] = [accounts]
    made = bench(spec)
    give(made, GOOD)
    made.cluster.documents[KEYS] = published(rsa("clusters"))
    for name, left in (("https://else.example.com", 2), (HUB["issuer"], 1)):
        made.cluster.documents[DISCOVERY] = json.dumps({"issuer": name}).encode()
        await made.settle()
        assert len(made.access()["issuers"]) == left
    assert made.access()["issuers"][0]["kind"] == "kubernetes"
    assert made.access()["rules"][-1]["identities"] == ["system:serviceaccount:builds:*"]
    assert made.condition("Stalled") == {}
    assert reason(made) == ("False", "KeysMissing")
    told = made.condition("IdentitiesReady")["message"]
    assert 'spec.access.issuers[0].issuer is "https://token.ci.example.com"' in told
    assert "the cluster's own issuer" in told


@pytest.mark.parametrize("keys", BROKEN)
async def test_broken_keys_that_are_the_first_ones_are_none(keys: str) -> None:
    made = bench(hub())
    give(made, keys)
    await made.settle()
    assert reason(made) == ("False", "KeysMissing")


async def test_keys_of_one_issuer_are_never_used_for_another_one() -> None:
    made = bench(hub())
    give(made, GOOD)
    await made.settle()
    give(made, "{")
    spec = hub(issuer="https://other.example.com")
    made.cluster.change("Registry", "team", spec=spec)
    await made.settle()
    assert "issuers" not in made.access()
    assert reason(made) == ("False", "KeysMissing")


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (hub(name="system"), "choose another name"),
        (hub(maxLifetime="25h"), "must be from 1s to 24h"),
        (hub(maxLifetime="0s"), "must be from 1s to 24h"),
        (hub(name="other"), "is of no issuer of spec.access.issuers; known are other"),
        ({"access": {"issuers": [HUB, {**HUB, "name": "two"}]}}, "may be named once"),
    ],
)
async def test_what_an_older_crd_let_pass_is_refused(spec: dict[str, Any], words: str) -> None:
    made = bench(spec)
    await made.settle()
    assert made.condition("Stalled")["status"] == "True"
    assert words in made.condition("Stalled")["message"]
