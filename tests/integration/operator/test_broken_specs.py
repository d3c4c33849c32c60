# SPDX-License-Identifier: Apache-2.0
"""Each broken spec is refused at apply time, or Stalled with field, value and rule."""

import json
import urllib.error
from collections.abc import Iterator
from typing import Any

import pytest

from support.apiserver import ApiServer, wait_for
from support.operators import Place, new_place, operator


@pytest.fixture(scope="module")
def watched(api: ApiServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    place = new_place(api)
    with operator(place, tmp_path_factory.mktemp("operator")):
        yield place


def users(*names: str) -> dict[str, Any]:
    return {"access": {"users": [{"name": name} for name in names]}}


REFUSED: tuple[tuple[str, dict[str, Any], str], ...] = (
    ("two storage kinds", {"storage": {"volume": {}, "s3": {}}}, "s3"),
    ("a negative size", {"storage": {"volume": {"size": "-1Gi"}}}, "size"),
    ("a size that is no quantity", {"storage": {"volume": {"size": "big"}}}, "size"),
    ("a bad cron line", {"garbageCollection": {"schedule": "often"}}, "schedule"),
    ("an unknown field", {"stroage": {}}, "stroage"),
    ("a user named twice", users("ci", "ci"), "users"),
    ("a user named like a generated one", users("admin"), "users"),
    ("an unknown action", {"access": {"anonymous": ["push"]}}, "anonymous"),
    ("a duration without a unit", {"garbageCollection": {"pushLease": "24"}}, "pushLease"),
    ("an unknown type of exposure", {"expose": {"type": "ExternalName"}}, "expose"),
    ("an upper-case repository", {
        **users("ci"),
        "access": {
            "users": [{"name": "ci"}],
            "rules": [{"users": ["ci"], "repositories": ["Apps/**"], "actions": ["pull"]}],
        },
    }, "repositories"),
)  # fmt: skip


@pytest.mark.parametrize(("what", "spec", "word"), REFUSED)
def test_it_is_refused_at_apply_time(
    place: Place, what: str, spec: dict[str, Any], word: str
) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        place.create_registry(spec)
    assert refused.value.code in (400, 422), what
    message = json.load(refused.value)["message"]
    assert word in message


STALLED = (
    (
        "a time zone that nobody knows",
        {"garbageCollection": {"timeZone": "Mars/Olympus"}},
        ("timeZone", "Mars/Olympus"),
    ),
    (
        "a password Secret that is missing",
        {"access": {"users": [{"name": "ci", "passwordSecretRef": {"name": "none"}}]}},
        ("spec.access.users[0].passwordSecretRef", "none"),
    ),
    (
        "an existing claim that is missing",
        {"storage": {"volume": {"existingClaim": "none"}}},
        ("spec.storage.volume.existingClaim", "none", "create it"),
    ),
    (
        "a cron line that only looks like one",
        {"garbageCollection": {"schedule": "99 99 * * *"}},
        ("schedule", "99"),
    ),
)


@pytest.mark.parametrize(("what", "spec", "words"), STALLED)
def test_it_is_stalled_with_field_value_and_rule(
    watched: Place, what: str, spec: dict[str, Any], words: tuple[str, ...]
) -> None:
    name = f"broken-{STALLED.index((what, spec, words))}"
    watched.create_registry(spec, name)
    stalled = wait_for(lambda: watched.condition("Stalled", name), f"{what}: Stalled")
    assert all(word in stalled["message"] for word in words)
    assert watched.condition("Ready", name)["status"] == "False"


def test_a_password_secret_that_appears_ends_the_stall_at_once(watched: Place) -> None:
    ref = {"name": "late", "key": "pw"}
    spec = {"access": {"users": [{"name": "ci", "passwordSecretRef": ref}]}}
    watched.create_registry(spec, "waits")
    wait_for(lambda: watched.condition("Stalled", "waits"), "Stalled")
    body = {"metadata": {"name": "late"}, "stringData": {"pw": "a-password-of-mine"}}
    watched.api.request("POST", watched.path("Secret"), body)
    wait_for(lambda: watched.get("Secret", "waits-users"), "the users file is there")
    wait_for(lambda: not watched.condition("Stalled", "waits"), "no longer Stalled")
    before = watched.secret("waits-users", "htpasswd")
    change = {"stringData": {"pw": "another-password"}}
    watched.api.merge(watched.path("Secret", "late"), change)
    wait_for(
        lambda: watched.secret("waits-users", "htpasswd") != before, "the new password is hashed"
    )
