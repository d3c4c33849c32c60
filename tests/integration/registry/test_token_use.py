# SPDX-License-Identifier: Apache-2.0
"""What a token of the real server is good for, and what is asked of whom."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, urlencode

import pytest

from support import issuer
from support.registry import Answer, Server, digest_of, htpasswd, running, wait_until
from support.token_server import (
    HOST,
    KEY,
    OLD_KEY,
    PULL,
    PUSH,
    REALM,
    RULES,
    configuration,
    fetch,
    guarded_server,
    show,
    token,
)
from support.tokens import (
    SERVICE,
    Key,
    claims,
    claims_of,
    forge,
    write_keys,
)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with guarded_server(tmp_path_factory.mktemp("tokens")) as server:
        yield server


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("GET", "/v2/", None),
        ("GET", "/v2/_catalog", "registry:catalog:*"),
        ("GET", "/v2/apps/x/manifests/v1", "repository:apps/x:pull"),
        ("HEAD", "/v2/apps/x/manifests/v1", "repository:apps/x:pull"),
        ("GET", "/v2/missing/tags/list", "repository:missing:pull"),
        ("PUT", "/v2/apps/x/manifests/v1", PUSH),
        ("POST", "/v2/apps/x/blobs/uploads/", PUSH),
        ("PATCH", f"/v2/apps/x/blobs/uploads/{'0' * 32}", PUSH),
        ("DELETE", f"/v2/apps/x/blobs/uploads/{'0' * 32}", PUSH),
        ("DELETE", "/v2/apps/x/manifests/v1", "repository:apps/x:delete"),
        (
            "POST",
            f"/v2/apps/x/blobs/uploads/?mount={digest_of(b'')}&from=secret",
            f"{PUSH} repository:secret:pull",
        ),
        ("POST", "/v2/apps/x/blobs/uploads/?from=%22", PUSH),
    ],
)
def test_who_comes_by_a_listed_name_is_sent_to_the_endpoint_with_the_right_scope(
    guarded: Server, method: str, path: str, scope: str | None
) -> None:
    answer = guarded.ask(method, path, headers={"Host": HOST}, login=None)
    asked = f'Bearer realm="{REALM}",service="{SERVICE}"'
    assert answer.status == 401
    assert answer.headers.get_all("WWW-Authenticate") == [
        asked if scope is None else f'{asked},scope="{scope}"'
    ]


@pytest.mark.parametrize(
    "host",
    [
        None,
        "127.0.0.1:5000",
        "registry.test",
        "registry.test:5001",
        "registry.test:5000.evil.test",
        "evil.test",
        f"{HOST}, {HOST}",
        'registry.test:5000"',
        "",
    ],
)
def test_who_comes_by_any_other_name_is_asked_for_a_password_and_can_pull(
    guarded: Server, host: str | None
) -> None:
    headers = {} if host is None else {"Host": host}
    answer = guarded.ask("GET", "/v2/apps/x/manifests/v1", headers=headers, login=None)
    assert answer.status == 401
    assert answer["WWW-Authenticate"] == 'Basic realm="cais", charset="UTF-8"'
    answer = guarded.ask("GET", "/v2/apps/x/manifests/v1", headers=headers, login="reader:r")
    assert answer.status == 200


@pytest.mark.parametrize("path", ["/v2/", "/v2/_catalog", "/v2/apps/x/tags/list", "/cais/v1/usage"])
def test_passwords_go_on_working_by_every_name(guarded: Server, path: str) -> None:
    assert guarded.ask("GET", path, headers={"Host": HOST}).status == 200


def test_the_admin_api_asks_for_passwords_and_takes_no_tokens(guarded: Server) -> None:
    answer = guarded.ask("GET", "/cais/v1/usage", headers={"Host": HOST}, login=None)
    assert str(answer["WWW-Authenticate"]).startswith("Basic ")
    text = token(guarded, "admin:a", "registry:catalog:*", "repository:secret:*")
    answer = show(guarded, text, path="/cais/v1/usage")
    assert answer.status == 401
    assert str(answer["WWW-Authenticate"]).startswith("Basic ")


def test_a_token_is_good_for_what_it_was_given_out_for(guarded: Server) -> None:
    text = token(guarded, "ci:c", PUSH, "registry:catalog:*")
    assert show(guarded, text).status == 200
    assert show(guarded, text, path="/v2/apps/x/manifests/v1").status == 200
    catalog = show(guarded, text, path="/v2/_catalog").json["repositories"]
    assert "apps/x" in catalog
    assert "secret" not in catalog
    path = f"/v2/apps/x/blobs/uploads/?digest={digest_of(b'new')}"
    assert show(guarded, text, "POST", path, body=b"new").status == 201


@pytest.mark.parametrize(
    ("login", "scope", "method", "path"),
    [
        ("ci:c", "repository:apps/x:pull", "GET", "/v2/apps/y/manifests/v1"),
        ("ci:c", "repository:apps/x:pull", "POST", "/v2/apps/x/blobs/uploads/"),
        ("ci:c", "repository:apps/x:push", "GET", "/v2/apps/x/manifests/v1"),
        ("ci:c", PUSH, "GET", "/v2/_catalog"),
        ("admin:a", PUSH, "DELETE", "/v2/apps/x/manifests/v1"),
        ("admin:a", "repository:apps/x:*", "GET", "/v2/secret/manifests/v1"),
    ],
)
def test_for_more_another_token_is_asked_for(
    guarded: Server, login: str, scope: str, method: str, path: str
) -> None:
    answer = show(guarded, token(guarded, login, scope), method, path)
    assert (answer.status, answer.code) == (401, "UNAUTHORIZED")
    challenge = str(answer["WWW-Authenticate"])
    assert challenge.startswith("Bearer ")
    assert 'error="insufficient_scope"' in challenge


@pytest.mark.parametrize("scope", ["repository:secret:pull", PUSH])
def test_what_the_rules_forbid_is_denied_whatever_token(guarded: Server, scope: str) -> None:
    text = token(guarded, "ci:c", scope)
    for name in ("secret", "missing"):
        answer = show(guarded, text, path=f"/v2/{name}/manifests/v1")
        assert (answer.status, answer.code) == (403, "DENIED")


def mount(server: Server, text: str, source: str, content: bytes) -> Answer:
    path = f"/v2/apps/x/blobs/uploads/?mount={digest_of(content)}&from={quote(source)}"
    return show(server, text, "POST", path)


def test_who_may_only_create_does_not_overwrite_with_a_token_to_push(guarded: Server) -> None:
    text = token(guarded, "maker:m", PUSH)
    manifest = guarded.ask("GET", "/v2/apps/x/manifests/v1")
    kind = {"Content-Type": str(manifest["Content-Type"])}

    def put(tag: str, body: bytes) -> int:
        path = f"/v2/apps/x/manifests/{tag}"
        return show(guarded, text, "PUT", path, body=body, headers=kind).status

    assert put("made-by-maker", manifest.body) == 201
    assert put("v1", manifest.body + b" ") == 403


def test_a_mount_reads_only_where_token_and_rules_allow(guarded: Server) -> None:
    of_y = b"of y"
    guarded.push_blob("apps/y", of_y)
    asked = mount(guarded, token(guarded, "ci:c", PUSH), "apps/y", of_y)
    assert (asked.status, asked.code) == (401, "UNAUTHORIZED")
    challenge = str(asked["WWW-Authenticate"])
    assert f'scope="{PUSH} repository:apps/y:pull",error="insufficient_scope"' in challenge
    both = token(guarded, "ci:c", PUSH, "repository:apps/y:pull", "repository:secret:pull")
    assert mount(guarded, both, "apps/y", of_y).status == 201
    for name in ("secret", "missing"):  # the same answer: send the bytes
        assert mount(guarded, both, name, b"of the secret").status == 202
    nowhere = f"/v2/apps/x/blobs/uploads/?mount={digest_of(b'of the secret')}"
    assert show(guarded, both, "POST", nowhere).status == 202


def test_changes_of_users_rules_keys_and_names_count_for_tokens_that_are_out(
    tmp_path: Path,
) -> None:
    config = configuration(tmp_path)
    with running(tmp_path, config=config, login="admin:a") as server:
        server.push_image("apps/x", "v1")
        leaver, ci = (token(server, login, PUSH) for login in ("leaver:l", "ci:c"))
        old = forge(OLD_KEY, claims("ci", PULL))
        path = "/v2/apps/x/manifests/v1"
        assert [show(server, text, path=path).status for text in (leaver, ci, old)] == [200] * 3

        (tmp_path / "users").write_text(htpasswd(admin="a", ci="c"))
        wait_until(lambda: show(server, leaver, path=path).status == 401, what="the user is gone")
        assert show(server, ci, path=path).status == 200

        new = Key()
        write_keys(tmp_path, new, KEY)
        wait_until(lambda: show(server, old, path=path).status == 401, what="the key is gone")
        assert show(server, ci, path=path).status == 200  # of the key before
        fresh = token(server, "ci:c", PUSH)
        assert show(server, fresh, path=path).status == 200
        assert show(server, forge(new, claims("ci", PULL)), path=path).status == 200

        write_keys(tmp_path)  # an empty file is not taken
        wait_until(
            lambda: "holds 0 keys" in (server.ask("GET", "/cais/v1/config").json["error"] or ""),
            what="the bad file is told",
        )
        assert show(server, fresh, path=path).status == 200

        config["access"]["rules"] = RULES[:1]
        config["tokens"]["realms"] = {"other.test": "https://other.test/token"}
        (tmp_path / "server.yaml").write_text(json.dumps(config))
        wait_until(lambda: show(server, fresh, path=path).status == 403, what="the rule is gone")
        asked = server.ask("GET", "/v2/", headers={"Host": HOST}, login=None)
        assert str(asked["WWW-Authenticate"]).startswith("Basic ")
        asked = server.ask("GET", "/v2/", headers={"Host": "other.test"}, login=None)
        assert 'realm="https://other.test/token"' in str(asked["WWW-Authenticate"])


def test_a_pod_changes_its_token_for_one_of_the_registry(tmp_path: Path) -> None:
    """As clients do that are sent to the endpoint, and have the token of a pod as password."""
    (tmp_path / "keys.json").write_bytes(issuer.published(issuer.rsa()))
    cluster = {
        "issuer": issuer.ISSUER,
        "kind": "kubernetes",
        "audiences": [issuer.AUDIENCE],
        "jwksFile": str(tmp_path / "keys.json"),
    }
    rule = {"identities": [issuer.PUSHER], "repositories": ["apps/**"], "actions": ["pull", "push"]}
    config = configuration(tmp_path, access={"issuers": [cluster], "rules": [rule]})
    with running(tmp_path, config=config) as server:
        said = issuer.token(issuer.claims(exp=int(time.time()) + 60))
        upload = f"/v2/apps/x/blobs/uploads/?digest={digest_of(b'new')}"
        for answer in (
            fetch(server, f"any-name:{said}", PUSH),
            show(server, said, path=f"/token?{urlencode({'scope': PUSH})}"),
        ):
            assert answer.json["scope"] == PUSH
            assert answer.json["expires_in"] <= 90  # no longer than the pod's, and its leeway
            own = answer.json["token"]
            assert claims_of(own)["sub"] == issuer.PUSHER
            assert show(server, own, "POST", upload, body=b"new").status == 201
        config["access"]["rules"] = []
        (tmp_path / "server.yaml").write_text(json.dumps(config))
        wait_until(lambda: show(server, own, "POST", upload).status == 403, what="no rule is left")


def test_what_anyone_may_pull_needs_no_password_but_a_token(tmp_path: Path) -> None:
    config = configuration(tmp_path, access={"anonymous": ["pull"], "rules": RULES})
    with running(tmp_path, config=config, login="admin:a") as server:
        server.push_image("apps/x", "v1")
        answer = fetch(server, None, PUSH, "registry:catalog:*")
        assert answer.json["scope"] == PULL
        text = answer.json["token"]
        assert show(server, text).status == 200
        assert show(server, text, path="/v2/apps/x/manifests/v1").status == 200
        for method, path in (("POST", "/v2/apps/x/blobs/uploads/"), ("GET", "/v2/_catalog")):
            refused = show(server, text, method, path)
            assert refused.status == 401
            assert 'error="insufficient_scope"' in str(refused["WWW-Authenticate"])
        config["access"]["anonymous"] = []
        (tmp_path / "server.yaml").write_text(json.dumps(config))
        wait_until(lambda: show(server, text).status == 401, what="nobody may pull any more")
