# SPDX-License-Identifier: Apache-2.0
"""A Registry whose spec has a problem: nothing is given, and what is taken back ends."""

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest

from cais_operator import credentials, errors, names
from cais_operator.settings import Settings
from operator_builders import decoded, secret
from support.access_bench import ACCESS, ALLOWED, USER, AccessBench, access_bench
from support.fake_cluster import Crash, Killer
from support.operator_bench import KEY

PROBLEM = {"quota": "0"}

pytestmark = pytest.mark.usefixtures("cheap_hashes")


async def broken_bench() -> AccessBench:
    """A RegistryAccess that is served by a Registry whose spec has a problem since."""
    made = access_bench()
    made.labels["team-b"] = {}
    await made.settle_both()
    break_it(made, ALLOWED)
    await made.turn()
    assert made.condition("Stalled")["status"] == "True"
    return made


def break_it(made: AccessBench, *consumers: dict[str, Any], **more: Any) -> None:
    spec = {"consumers": list(consumers), **PROBLEM, **more}
    made.cluster.change(names.KIND, "team", spec=spec)


def withdraw(made: AccessBench) -> None:
    break_it(made)


def ask_for_more(made: AccessBench) -> None:
    made.put_access(repositories=["apps/web/**", "payroll"], generation=2)


def lose_the_label(made: AccessBench) -> None:
    break_it(made, {**ALLOWED, "namespaceSelector": {"matchLabels": {"tier": "web"}}})


def replace_it(made: AccessBench) -> None:
    made.put_access(uid="another")


@pytest.mark.parametrize(
    "end", [withdraw, AccessBench.drop_access, ask_for_more, lose_the_label, replace_it]
)
async def test_an_account_that_is_no_longer_granted_ends(end: Callable[[AccessBench], Any]) -> None:
    made = await broken_bench()
    password, others = made.password(), {*made.users()} - {USER}
    end(made)
    await made.turn()
    assert not made.takes(password)
    assert made.account() is None
    assert {*made.users()} == others
    assert made.condition("Stalled")["status"] == "True"
    made.cluster.requests.clear()
    await made.turn()
    assert [one for one in made.cluster.writes if one[1] == "Secret"] == []


async def test_accounts_that_are_granted_stay_as_they_are_and_none_is_added() -> None:
    made = await broken_bench()
    before = made.secret("team-users", "team-a"), made.secret("team-access", "team-a")
    made.put_access(name="api", uid="uid-of-api", secretName="api")
    made.later(hours=24 * 31)  # its rotation waits
    await made.turn()
    assert (made.secret("team-users", "team-a"), made.secret("team-access", "team-a")) == before
    assert made.takes(made.password())


async def test_an_operator_that_may_no_longer_read_labels_ends_what_they_had_allowed() -> None:
    untrusted = {"key": "untrusted", "operator": "DoesNotExist"}
    made = access_bench({**ALLOWED, "namespaceSelector": {"matchExpressions": [untrusted]}})
    made.labels["team-b"] = {}
    await made.settle_both()
    password = made.password()
    made.labels.clear()
    made.settings = Settings(namespaces=("team-a", "team-b"))
    await made.turn()
    assert "may not read the labels" in made.condition("Stalled")["message"]
    assert not made.takes(password)


async def test_killed_at_any_request_of_a_withdrawal_it_is_made_all_the_same() -> None:
    for stop in range(1, 10):
        made = await broken_bench()
        password = made.password()
        replace_it(made)
        made.cluster.before = Killer(stop=stop).kill
        registry, _ = made.both()
        try:
            await registry.reconcile(KEY)
        except Crash:
            made.cluster.before = lambda *_: None
            await made.turn()
            assert not made.takes(password)
            assert made.account() is None
        else:
            break
    assert stop > 2


@pytest.mark.parametrize("name", ["team-users", "team-access"])
async def test_secrets_of_others_are_left_alone(name: str) -> None:
    made = await broken_bench()
    data = dict((made.secret(name, "team-a") or {})["data"])
    made.cluster.put({"kind": "Secret", "metadata": {"name": name}, "data": data})
    withdraw(made)
    await made.turn()
    assert (made.secret(name, "team-a") or {})["data"] == data


async def test_a_paused_registry_is_not_touched() -> None:
    made = await broken_bench()
    break_it(made, paused=True)
    await made.turn()
    assert made.account() is not None
    assert USER in made.users()


@pytest.mark.parametrize(
    ("name", "key"),
    [("team-users", "htpasswd"), ("team-token-keys", "keys"), ("team-tls", "tls.crt")],
)
async def test_a_secret_that_somebody_has_emptied_does_not_stop_the_story(
    name: str, key: str
) -> None:
    made = await broken_bench()
    del made.cluster.objects["Secret", "team-a", name]["data"][key]
    await made.operator().reconcile(KEY)
    assert made.condition("Stalled")["status"] == "True"
    assert made.condition("Ready")["status"] == "False"


async def test_of_two_that_write_the_users_the_slower_one_looks_again() -> None:
    made = await broken_bench()
    made.drop_access()

    def overtake(verb: str, kind: str, name: str) -> None:
        if (verb, kind, name) == ("replace", "Secret", "team-users"):
            made.cluster.before = lambda *_: None
            made.cluster.change("Secret", name, metadata={"annotations": {"a": "b"}})

    made.cluster.before = overtake
    registry, _ = made.both()
    with pytest.raises(errors.Conflict):
        await registry.reconcile(KEY)
    await made.turn(ACCESS)
    assert USER not in made.users()


def test_lines_that_stay_stay_as_they_are() -> None:
    text = "admin:x\nodd\nweb@team-b:y\nweb@team-b:z\npull:p"
    marks = json.dumps({"admin": ["1"], "web@team-b": ["2", "3"], "pull": 7})
    live = secret(htpasswd=text, fingerprints=marks)
    found = decoded({"data": credentials.without(live, lambda name: "@" not in name)})
    assert found["htpasswd"] == "admin:x\nodd\npull:p"
    assert json.loads(found["fingerprints"]) == {"admin": ["1"], "pull": 7}


def test_a_file_that_is_no_text_is_left_as_it_is() -> None:
    live = {"metadata": {}, "data": {"htpasswd": base64.b64encode(b"\xff").decode()}}
    assert credentials.without(live, bool) == live["data"]
    assert credentials.without(secret(), bool) == {}
