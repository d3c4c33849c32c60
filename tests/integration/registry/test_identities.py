# SPDX-License-Identifier: Apache-2.0
"""The real server takes tokens as a login, and keys that change, without a restart."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.issuer import AUDIENCE, ISSUER, PUSHER, claims, published, rsa, token
from support.registry import Answer, Server, htpasswd, running, wait_until
from support.tokens import SERVICE, Key, configure

RULES: list[dict[str, Any]] = [
    {"users": ["admin"], "repositories": ["**"], "actions": ["pull", "push", "delete", "admin"]},
    {"users": ["*"], "repositories": ["**"], "actions": ["pull"]},
    {"identities": [PUSHER], "repositories": ["apps/**"], "actions": ["pull", "push"]},
    {
        "identities": ["system:serviceaccount:readers:*"],
        "repositories": ["apps/**"],
        "actions": ["pull"],
    },
]
READER = "system:serviceaccount:readers:any"


def configured(folder: Path, **changes: Any) -> dict[str, Any]:
    issuer = {
        "issuer": ISSUER,
        "kind": "kubernetes",
        "audiences": [AUDIENCE],
        "jwksFile": str(folder / "keys.json"),
    }
    access = {"rules": RULES, "issuers": [issuer], **changes}
    return {"auth": {"htpasswdFile": str(folder / "users")}, "access": access}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "users").write_text(htpasswd(admin="a"))
    (tmp_path / "keys.json").write_bytes(published(rsa()))
    return tmp_path


@pytest.fixture
def server(folder: Path) -> Iterator[Server]:
    with running(folder, config=configured(folder), login="admin:a") as found:
        found.push_image("apps/x", "v1")
        yield found


def ask(server: Server, method: str, path: str, said: str, *, is_password: bool = False) -> Answer:
    """A request with a token, as it is or as a password."""
    value = f"Bearer {said}"
    if is_password:
        value = "Basic " + base64.b64encode(f"admin:{said}".encode()).decode()
    return server.ask(method, path, headers={"Authorization": value}, login=None)


def is_in(server: Server, said: str) -> bool:
    return ask(server, "GET", "/v2/", said).status == 200


@pytest.mark.parametrize("is_password", [False, True])
def test_a_token_may_do_what_its_subjects_rules_say(server: Server, *, is_password: bool) -> None:
    for subject, method, path, status in (
        (PUSHER, "GET", "/v2/", 200),
        (PUSHER, "GET", "/v2/apps/x/manifests/v1", 200),
        (PUSHER, "POST", "/v2/apps/new/blobs/uploads/", 202),
        (PUSHER, "POST", "/v2/other/blobs/uploads/", 403),
        (PUSHER, "DELETE", "/v2/apps/x/manifests/v1", 403),
        (PUSHER, "GET", "/cais/v1/usage", 403),
        (READER, "GET", "/v2/apps/x/manifests/v1", 200),
        (READER, "POST", "/v2/apps/x/blobs/uploads/", 403),
        ("system:serviceaccount:strangers:pusher", "GET", "/v2/apps/x/manifests/v1", 403),
    ):
        said = token(claims(sub=subject))
        answer = ask(server, method, path, said, is_password=is_password)
        assert answer.status == status, (subject, method, path)


def test_the_audit_log_names_the_subject_and_no_log_holds_the_token(server: Server) -> None:
    said = token()
    upload = ask(server, "POST", "/v2/apps/new/blobs/uploads/", said, is_password=True)
    assert upload.status == 202
    assert ask(server, "DELETE", "/v2/apps/x/manifests/v1", said).status == 403
    assert ask(server, "GET", "/v2/", said + "x").status == 401

    def refusals() -> list[dict[str, Any]]:
        return [one for one in server.lines() if one.get("event") == "tag.delete"]

    (told,) = wait_until(refusals, what="the refusal is in the log")
    assert (told["user"], told["outcome"]) == (PUSHER, "refused")
    text = server.log.read_text()
    assert not {part for part in said.split(".") if part in text}


def test_an_upload_is_of_the_subject_that_began_it(server: Server) -> None:
    begun = ask(server, "POST", "/v2/apps/new/blobs/uploads/", token())
    where = begun["Location"] or ""
    assert ask(server, "GET", where, token()).status == 204
    assert server.ask("GET", where).status == 404


def test_a_pods_token_is_changed_for_one_of_the_registry_that_ends_with_the_rule(
    folder: Path,
) -> None:
    """What `docker login` and the clients behind it do."""
    more = {"tokens": configure(folder, Key(), realms={"a.test": "https://a.test/token"})}
    with running(folder, config={**configured(folder), **more}, login="admin:a") as server:
        server.push_image("apps/x", "v1")
        path = f"/token?service={SERVICE}&scope=repository:apps/x:pull,push,delete"
        answer = ask(server, "GET", path, token(), is_password=True)
        assert answer.json["scope"] == "repository:apps/x:pull,push"
        own = answer.json["token"]
        assert ask(server, "GET", "/v2/apps/x/manifests/v1", own).status == 200
        assert ask(server, "GET", path, token() + "x", is_password=True).status == 401
        config = {**configured(folder, rules=RULES[:2]), **more}
        (folder / "server.yaml").write_text(json.dumps(config))
        wait_until(
            lambda: ask(server, "GET", "/v2/apps/x/manifests/v1", own).status != 200,
            what="the rule is gone, and with it what the token was given for",
        )


def test_keys_change_without_a_restart(server: Server, folder: Path) -> None:
    old, new = token(), token(key=rsa("two"))
    assert (is_in(server, old), is_in(server, new)) == (True, False)
    (folder / "keys.json").write_bytes(published(rsa(), rsa("two")))
    wait_until(lambda: is_in(server, new), what="the new key is taken")
    assert is_in(server, old)
    (folder / "keys.json").write_bytes(published(rsa("two")))
    wait_until(lambda: not is_in(server, old), what="the old key is gone")
    assert is_in(server, new)


@pytest.mark.parametrize("content", [None, b"", b"{}", b"x" * 100_000])
def test_without_good_keys_tokens_are_refused_and_all_else_goes_on(
    server: Server, folder: Path, content: bytes | None
) -> None:
    keys = folder / "keys.json"
    assert is_in(server, token())
    keys.unlink() if content is None else keys.write_bytes(content)
    wait_until(lambda: not is_in(server, token()), what="nothing is remembered without keys")
    told = server.ask("GET", "/cais/v1/config").json
    assert str(keys) in told["error"]
    assert str(keys) not in told["files"]
    assert server.ask("GET", "/v2/apps/x/manifests/v1").status == 200
    wait_until(lambda: "keys.json" in server.log.read_text(), what="the log says so")
    keys.write_bytes(published(rsa()))
    wait_until(lambda: is_in(server, token()), what="good keys are taken again")
    assert server.ask("GET", "/cais/v1/config").json["error"] is None
    assert str(keys) in server.ask("GET", "/cais/v1/config").json["files"]


def test_a_server_starts_without_keys(folder: Path) -> None:
    (folder / "keys.json").unlink()
    with running(folder, config=configured(folder), login="admin:a") as server:
        assert server.ask("GET", "/v2/").status == 200
        assert not is_in(server, token())
        (folder / "keys.json").write_bytes(published(rsa()))
        wait_until(lambda: is_in(server, token()), what="the keys are taken")


def test_an_issuer_that_is_taken_out_is_refused_at_once(server: Server, folder: Path) -> None:
    assert is_in(server, token())
    text = json.dumps(configured(folder, issuers=[], rules=RULES[:2]))
    (folder / "server.yaml").write_text(text)
    wait_until(lambda: not is_in(server, token()), what="the issuer is gone")


def test_what_no_configuration_asks_for_is_not_loaded(folder: Path) -> None:
    plain = {"auth": {"htpasswdFile": str(folder / "users")}}
    for config, is_loaded in ((plain, False), (configured(folder), True)):
        with running(folder, config=config, login="admin:a") as server:
            server.ask("GET", "/v2/")
            (worker,) = server.workers
            maps = Path(f"/proc/{worker}/maps").read_text()
            assert ("cryptography" in maps) is is_loaded
