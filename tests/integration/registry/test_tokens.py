# SPDX-License-Identifier: Apache-2.0
"""How tokens are had from the real server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest

from support.registry import Answer, Server, running, wait_until
from support.token_server import (
    KEY,
    PULL,
    PUSH,
    configuration,
    fetch,
    guarded_server,
    show,
    token,
)
from support.tokens import (
    SERVICE,
    access,
    claims,
    claims_of,
    forge,
)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with guarded_server(tmp_path_factory.mktemp("tokens")) as server:
        yield server


def test_a_password_is_changed_for_a_token_of_the_right_shape(guarded: Server) -> None:
    answer = fetch(guarded, "ci:c", "repository:apps/x:pull,push")
    found = answer.json
    assert (answer.status, answer["Cache-Control"]) == (200, "no-store")
    assert found["token"] == found["access_token"]
    assert (found["expires_in"], found["scope"]) == (300, "repository:apps/x:pull,push")
    said = claims_of(found["token"])
    assert (said["iss"], said["aud"], said["sub"]) == (SERVICE, SERVICE, "ci")
    assert said["exp"] - said["iat"] == 300
    assert said["access"] == access("repository:apps/x:pull,push")
    assert said["jti"] != claims_of(token(guarded, "ci:c"))["jti"]


@pytest.mark.parametrize(
    ("login", "scopes", "granted"),
    [
        ("ci:c", [PUSH], [PUSH]),
        ("ci:c", ["repository:apps/x:*"], [PUSH]),
        ("ci:c", ["repository:apps/x:pull", "repository:apps/x:push"], [PUSH]),
        ("ci:c", ["repository(plugin):apps/x:pull,push"], [PUSH]),
        ("ci:c", [f"{PUSH} repository:apps/y:pull"], [PUSH, "repository:apps/y:pull"]),
        ("ci:c", [PUSH, "repository:secret:pull"], [PUSH]),
        ("ci:c", ["repository:apps/x:delete"], []),
        ("ci:c", ["repository:secret:pull", "repository:missing:pull"], []),
        ("ci:c", ["repository:APPS/x:pull", "repository:apps/../secret:pull"], []),
        ("ci:c", ["repository:apps%2Fx:pull", "repository:", "x", ":", "repository:apps/x:"], []),
        ("ci:c", ["registry:catalog:*"], ["registry:catalog:*"]),
        ("ci:c", ["registry:admin:*", "repository:apps/x:admin"], []),
        ("reader:r", [PUSH], ["repository:apps/x:pull"]),
        ("maker:m", [PUSH], ["repository:apps/x:push"]),
        ("admin:a", ["repository:secret:*"], ["repository:secret:pull,push,delete"]),
        ("ci:c", [], []),
    ],
)
def test_what_is_asked_for_is_granted_as_far_as_the_rules_allow(
    guarded: Server, login: str, scopes: list[str], granted: list[str]
) -> None:
    answer = fetch(guarded, login, *scopes)
    assert answer.json["scope"] == " ".join(granted)
    assert claims_of(answer.json["token"])["access"] == access(*granted)


FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def post(server: Server, **fields: str) -> Answer:
    return server.ask("POST", "/token", urlencode(fields), FORM, login=None)


def test_a_form_with_a_password_gives_the_same(guarded: Server) -> None:
    answer = post(
        guarded,
        grant_type="password",
        username="ci",
        password="c",
        service=SERVICE,
        scope=f"{PUSH} repository:apps/y:pull",
        client_id="tests",
        access_type="offline",
    )
    assert answer.status == 200
    assert answer.json["scope"] == f"{PUSH} repository:apps/y:pull"
    assert "refresh_token" not in answer.json
    assert show(guarded, answer.json["access_token"]).status == 200


@pytest.mark.parametrize(
    ("fields", "status", "word"),
    [
        ({"grant_type": "refresh_token", "refresh_token": "x"}, 400, "refresh"),
        ({}, 400, "grant_type"),
        ({"grant_type": "password"}, 401, "wrong"),
        ({"grant_type": "password", "username": "ci", "password": "x"}, 401, "wrong"),
        ({"grant_type": "password", "username": "ci", "password": "c\0"}, 400, "NUL"),
        ({"grant_type": "password", "username": "ci", "password": "c", "service": "x"}, 400, "x"),
        ({"grant_type": "password", "scope": "a " * 20000}, 413, "large"),
        ({str(i): "" for i in range(300)}, 400, "few fields"),
    ],
)
def test_a_bad_form_is_refused_with_a_reason(
    guarded: Server, fields: dict[str, str], status: int, word: str
) -> None:
    answer = post(guarded, **fields)
    assert answer.status == status
    assert answer.code
    assert word in answer.json["errors"][0]["message"]


def test_a_form_of_another_kind_is_refused(guarded: Server) -> None:
    kind = {"Content-Type": "application/json"}
    assert guarded.ask("POST", "/token", b"{}", kind, login=None).status == 400
    assert guarded.ask("POST", "/token", b"grant_type=%ff", FORM, login=None).status == 400


@pytest.mark.parametrize("login", [None, "ci:wrong", "stranger:c"])
def test_without_a_good_password_there_is_no_token_but_a_question_for_one(
    guarded: Server, login: str | None
) -> None:
    answer = fetch(guarded, login, PUSH)
    assert (answer.status, answer.code) == (401, "UNAUTHORIZED")
    assert str(answer["WWW-Authenticate"]).startswith("Basic ")


def test_a_token_is_not_changed_for_another_one(guarded: Server) -> None:
    answer = show(guarded, token(guarded, "ci:c", PUSH), path="/token")
    assert answer.status == 401
    assert str(answer["WWW-Authenticate"]).startswith("Basic ")


def test_what_is_no_service_or_too_much_is_refused(guarded: Server) -> None:
    assert fetch(guarded, "ci:c", service="another").status == 400
    assert fetch(guarded, "ci:c", *(f"repository:apps/{i}:pull" for i in range(101))).status == 400


def test_the_largest_token_that_is_given_out_is_taken(guarded: Server) -> None:
    names = [f"apps/{i:02}/" + "x" * 247 for i in range(20)]

    def ask(count: int) -> Answer:
        query = urlencode([("scope", f"repository:{name}:*") for name in names[:count]])
        return guarded.ask("GET", f"/token?{query}", login="admin:a")

    refused = ask(20)
    assert (refused.status, refused.code) == (400, "UNSUPPORTED")
    answer = ask(18)
    assert len(answer.json["scope"].split()) == 18
    assert show(guarded, answer.json["token"], path=f"/v2/{names[0]}/tags/list").status == 404


def test_logs_tell_who_failed_to_log_in_and_hold_neither_password_nor_token(
    tmp_path: Path,
) -> None:
    with running(tmp_path, config=configuration(tmp_path), login="admin:a") as server:
        text = token(server, "ci:c", PUSH)
        show(server, text, path="/v2/apps/x/tags/list")
        post(server, grant_type="password", username="ci", password="a-wrong-one")
        post(server, grant_type="password", username="a-password", password="a-wrong-one")
        fetch(server, "ci:a-wrong-one")
        fetch(server, None)

        def failures() -> list[str | None]:
            lines = [line for line in server.lines() if line.get("logger") == "cais.audit"]
            return [line.get("user") for line in lines if line["event"] == "login"]

        assert wait_until(
            lambda: len(failures()) >= 3 and failures(), what="lines are written"
        ) == [
            "ci",
            None,
            "ci",
        ]
        users = [line.get("user") for line in server.lines() if line.get("path", "")[:5] == "/v2/a"]
        assert users == ["ci"]
        log = server.log.read_text()
        assert not [word for word in (text, "a-wrong-one", "a-password") if word in log]


def test_without_the_block_there_are_only_passwords(tmp_path: Path) -> None:
    config = configuration(tmp_path)
    del config["tokens"]
    with running(tmp_path, config=config) as server:
        assert fetch(server, "ci:c").status == 404
        answer = show(server, forge(KEY, claims("ci", PULL)))
        assert answer.status == 401
        assert str(answer["WWW-Authenticate"]).startswith("Basic ")
