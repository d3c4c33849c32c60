# SPDX-License-Identifier: Apache-2.0
"""Secrets with passwords that people edit, and those of users that are gone."""

import base64
from collections.abc import Callable
from typing import Any

import bcrypt
import pytest

from cais_operator import names
from operator_builders import with_users
from support.operator_bench import KEY
from support.password_bench import ALICE, SECRETS, lets_in, ready

pytestmark = pytest.mark.usefixtures("cheap_hashes")


@pytest.mark.parametrize("spec", [with_users(ALICE), with_users({"name": "other"}, ALICE)])
async def test_the_secret_of_a_user_that_is_gone_goes_after_its_login(spec: dict[str, Any]) -> None:
    made = await ready()
    password = made.text("team-user-ci")
    made.cluster.change(names.KIND, "team", spec=spec)

    def is_out(verb: str, kind: str, name: str) -> None:
        if (verb, kind, name) == ("delete", "Secret", "team-user-ci"):
            assert not lets_in(made, "ci", password)

    made.cluster.before = is_out
    await made.operator().reconcile(KEY)
    assert ("Secret", "team-a", "team-user-ci") not in made.cluster.objects
    assert "ci:" not in made.text("team-users", "htpasswd")


def theirs(live: dict[str, Any]) -> None:
    live["metadata"]["ownerReferences"] = [{"kind": "Registry", "name": "team", "uid": "another"}]


def nobodys(live: dict[str, Any]) -> None:
    del live["metadata"]["ownerReferences"]


def referred(live: dict[str, Any]) -> None:
    del live


@pytest.mark.parametrize("change", [theirs, nobodys, referred])
async def test_a_secret_that_is_not_ours_or_that_a_spec_names_stays(
    change: Callable[[dict[str, Any]], None],
) -> None:
    made = await ready()
    change(made.cluster.objects["Secret", "team-a", "team-user-ci"])
    ref = {"name": "ci", "passwordSecretRef": {"name": "team-user-ci"}}
    users = with_users(ref) if change is referred else with_users(ALICE)
    made.cluster.change(names.KIND, "team", spec=users)
    await made.operator().reconcile(KEY)
    assert ("Secret", "team-a", "team-user-ci") in made.cluster.objects


@pytest.mark.parametrize("password", ["x" * 80, "", "a\nb", "ä" * 37])
@pytest.mark.parametrize("user", SECRETS)
async def test_an_unusable_password_set_by_hand_is_refused_and_the_good_one_works_on(
    user: str, password: str
) -> None:
    made = await ready()
    good = made.text(SECRETS[user])
    text = base64.b64encode(password.encode()).decode()
    made.cluster.change("Secret", SECRETS[user], data={"password": text})
    await made.operator().reconcile(KEY)
    stalled = made.condition("Stalled")["message"]
    assert stalled.startswith(f'Secret {SECRETS[user]} is "password": must be 1 to 72 bytes')
    assert not password or password not in stalled
    assert lets_in(made, user, good)
    made.cluster.change("Secret", SECRETS[user], data={"password": "bWluZQ=="})
    await made.operator().reconcile(KEY)
    assert lets_in(made, user, "mine")
    assert not lets_in(made, user, good)


async def test_a_hash_that_was_put_into_the_users_secret_is_taken_out() -> None:
    made = await ready()
    good = made.text("team-user-ci")
    theirs = bcrypt.hashpw(b"theirs", bcrypt.gensalt(4)).decode()
    lines = made.text("team-users", "htpasswd").splitlines()
    edited = [line for line in lines if not line.startswith("ci:")] + [f"ci:{theirs}"]
    for text in (edited, [*lines, f"ci:{theirs}"], [*lines, f"eve:{theirs}"]):
        encoded = base64.b64encode("\n".join([*text, ""]).encode()).decode()
        made.cluster.change("Secret", "team-users", data={"htpasswd": encoded})
        await made.operator().reconcile(KEY)
        assert lets_in(made, "ci", good)
        assert not lets_in(made, "ci", "theirs")
        assert not lets_in(made, "eve", "theirs")
