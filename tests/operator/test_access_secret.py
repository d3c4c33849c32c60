# SPDX-License-Identifier: Apache-2.0
"""The Secret of a RegistryAccess: whose it is, and what becomes of it when somebody edits it."""

import json
from typing import Any

import pytest

from cais_operator import errors, names
from operator_builders import encoded
from support.access_bench import access_bench

pytestmark = pytest.mark.usefixtures("cheap_hashes")


async def test_another_secret_name_removes_the_old_secret_and_its_name() -> None:
    made = access_bench(serviceAccounts=["default"])
    made.put_puller("default")
    await made.settle_both()
    password = made.password()
    made.put_access(secretName="other", serviceAccounts=["default"], generation=2)
    await made.settle_both()
    assert made.secret() is None
    assert made.password("other") == password
    assert made.pulls("default") == ["other"]


@pytest.mark.parametrize(
    "metadata",
    [
        {},
        {"labels": {names.MANAGED_BY: names.MANAGER, names.INSTANCE: "team"}},
        {"ownerReferences": [{"kind": names.ACCESS_KIND, "name": "another", "uid": "u"}]},
        {
            "labels": {names.MANAGED_BY: names.MANAGER, names.ACCESS: "web"},
            "ownerReferences": [{"kind": "Certificate", "name": "web", "uid": "u"}],
        },
    ],
)
async def test_a_secret_of_somebody_else_is_left_alone_and_named(metadata: dict[str, Any]) -> None:
    made = access_bench()
    theirs = {"kind": "Secret", "metadata": {"name": "registry", "namespace": "team-b"} | metadata}
    made.cluster.put({**theirs, "data": {"a": "Yg=="}})
    await made.settle_both()
    assert (made.secret() or {})["data"] == {"a": "Yg=="}
    assert made.said("Stalled")["reason"] == "SecretNotOurs"
    assert "Secret registry exists" in made.said()["message"]


async def test_a_secret_that_was_made_to_hold_anothers_credentials_is_never_believed() -> None:
    made = access_bench()
    await made.settle_both()
    password, users = made.password(), made.text("team-users", "htpasswd")
    admin = made.text("team-admin")
    forged = json.dumps({"auths": {"evil.example.com": {"username": "admin", "password": admin}}})
    data = {
        "username": encoded("admin"),
        "password": encoded(admin),
        ".dockerconfigjson": encoded(forged),
    }
    live = made.cluster.objects["Secret", "team-b", "registry"]
    made.cluster.put({**live, "data": data})
    await made.turn()
    assert made.password() == password
    assert made.text("team-users", "htpasswd") == users
    assert "ca.crt" in (made.secret() or {})["data"]


@pytest.mark.parametrize("change", [{"labels": {}}, {"ownerReferences": []}])
async def test_a_secret_whose_marks_were_edited_is_put_right(change: dict[str, Any]) -> None:
    made = access_bench()
    await made.settle_both()
    live = made.cluster.objects["Secret", "team-b", "registry"]
    before = live["metadata"]
    made.cluster.put({**live, "metadata": before | change, "data": {}})
    await made.turn()
    after = (made.secret() or {})["metadata"]
    assert {key: after[key] for key in change} == {key: before[key] for key in change}
    assert made.password()


async def test_a_deleted_secret_comes_back_with_the_same_password() -> None:
    made = access_bench()
    await made.settle_both()
    password = made.password()
    del made.cluster.objects["Secret", "team-b", "registry"]
    await made.turn()
    assert made.password() == password


async def test_what_the_api_server_refuses_is_told_in_its_words() -> None:
    made = access_bench()
    await made.turn()

    def refuse(verb: str, kind: str, name: str) -> None:
        if (verb, kind, name) == ("create", "Secret", "registry"):
            raise errors.Rejected(status=403, reason="Forbidden", message="quota", subject="it")

    made.cluster.before = refuse
    await made.settle_both()
    assert made.said("Stalled")["reason"] == "Rejected"
    assert "quota" in made.said()["message"]


async def test_a_password_that_could_not_be_given_to_the_server_is_not_handed_out() -> None:
    made = access_bench(rotation={"every": "24h", "overlap": "1h"})
    await made.settle_both()
    password = made.password()

    def refuse(verb: str, kind: str, name: str) -> None:
        if (verb, kind, name) == ("replace", "Secret", "team-users"):
            raise errors.Rejected(status=403, reason="Forbidden", message="quota", subject="it")

    made.cluster.before = refuse
    made.later(hours=24)
    await made.settle_both()
    account = made.account()
    assert account is not None
    assert [one.live for one in account.credentials] == [False, True]
    assert made.password() == password
