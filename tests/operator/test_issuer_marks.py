# SPDX-License-Identifier: Apache-2.0
"""Who may write ConfigMaps, and nothing else, gives nobody a login through that of a Registry."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from cais_operator import errors, jwks
from cais_operator.identities import DISCOVERY, KEYS
from support.issuer import published, rsa
from support.operator_bench import KEY, Bench, bench

pytestmark = pytest.mark.usefixtures("cheap_hashes")

ISSUER = "https://kubernetes.default.svc"
RULE = {
    "serviceAccounts": [{"namespace": "builds"}],
    "repositories": ["apps/**"],
    "actions": ["push"],
}
ACCOUNTS = {"access": {"rules": [RULE]}}


def discovery(made: Bench, *, fails: bool = False) -> None:
    made.cluster.documents[DISCOVERY] = json.dumps({"issuer": ISSUER}).encode()
    made.cluster.documents[KEYS] = errors.ApiUnavailable("down") if fails else published(rsa())


def config(made: Bench) -> dict[str, str]:
    data: dict[str, str] = made.cluster.objects["ConfigMap", "team-a", "team-config"]["data"]
    return data


def forge(made: Bench, *, issuer: str = ISSUER, keys: bytes = b"") -> None:
    """What somebody does who may write ConfigMaps and nothing else."""
    data = config(made)
    server = json.loads(data["server.yaml"])
    server["access"]["issuers"][0]["issuer"] = issuer
    data["server.yaml"] = json.dumps(server)
    data["kubernetes-jwks.json"] = jwks.canonical(keys or published(rsa()))


@pytest.mark.parametrize(
    "forged", [{"keys": published(rsa("theirs"))}, {"issuer": "https://theirs.example.com"}]
)
async def test_what_somebody_else_wrote_is_never_believed(forged: dict[str, Any]) -> None:
    made = bench(ACCOUNTS)
    discovery(made)
    await made.settle()
    before = copy.deepcopy(config(made))
    forge(made, **forged)
    discovery(made, fails=True)
    await made.operator().reconcile(KEY)
    for _ in range(2):  # and it is told for as long as it lasts
        assert set(config(made)) == {"server.yaml"}
        told = made.condition("IdentitiesReady")
        assert (told["status"], told["reason"]) == ("False", "KeysMissing")
        assert "down; the keys read before are not used" in told["message"]
        assert "ConfigMap team-config" in told["message"]
        await made.operator().reconcile(KEY)
    discovery(made)
    await made.settle()
    assert config(made) == before


async def test_what_was_written_before_is_not_believed_without_its_mark() -> None:
    made = bench(ACCOUNTS)
    discovery(made)
    await made.settle()
    for broken in ("%", "ew==", "W10=", "eyIiOiBudWxsfQ==", None):
        secret = made.cluster.objects["Secret", "team-a", "team-token-keys"]
        del secret["data"]["issuers"]
        secret["data"] |= {} if broken is None else {"issuers": broken}
        discovery(made, fails=True)
        await made.operator().reconcile(KEY)
        assert set(config(made)) == {"server.yaml"}
        discovery(made)
        await made.settle()
        assert "kubernetes-jwks.json" in config(made)


async def test_marks_are_where_only_those_write_who_can_be_anyone_and_go_with_the_rules() -> None:
    made = bench(ACCOUNTS)
    discovery(made)
    await made.settle()
    assert set(json.loads(made.text("team-token-keys", "issuers"))) == {""}
    before = made.text("team-token-keys", "keys")
    made.cluster.change("Registry", "team", spec={"access": {"rules": []}})
    await made.settle()
    assert set(made.cluster.objects["Secret", "team-a", "team-token-keys"]["data"]) == {"keys"}
    assert made.text("team-token-keys", "keys") == before
