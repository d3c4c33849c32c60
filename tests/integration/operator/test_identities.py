# SPDX-License-Identifier: Apache-2.0
"""From a real API server's token to a push: operator and server, with nothing in between."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from joserfc import jws
from joserfc.jwk import ECKey

from support.apiserver import ApiServer, wait_for
from support.issuer import published, rsa
from support.operators import Operator, Place, new_place, operator
from support.registry import Answer, Server, htpasswd, wait_until
from support.registry import running as running_server

RULES = [
    {
        "serviceAccounts": [{"namespace": "builds", "name": "pusher"}],
        "repositories": ["apps/**"],
        "actions": ["pull", "push"],
    },
    {
        "serviceAccounts": [{"namespace": "deployments"}],
        "repositories": ["apps/**"],
        "actions": ["pull"],
    },
]
ACCOUNTS = (("builds", "pusher"), ("builds", "other"), ("deployments", "app"))


@pytest.fixture(scope="module")
def accounts(api: ApiServer) -> ApiServer:
    for namespace, name in ACCOUNTS:
        path = f"/api/v1/namespaces/{namespace}"
        if api.find(path) is None:
            api.request("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}})
        if api.find(f"{path}/serviceaccounts/{name}") is None:  # this file may begin again
            api.request("POST", f"{path}/serviceaccounts", {"metadata": {"name": name}})
    return api


@pytest.fixture
def place(accounts: ApiServer) -> Iterator[Place]:
    found = new_place(accounts)
    found.create_registry({"access": {"rules": RULES}})
    yield found
    found.delete("Registry", "team")


@pytest.fixture
def started(place: Place, tmp_path: Path) -> Iterator[Operator]:
    with operator(place, tmp_path) as found:
        place.wait_complete()
        wait_for(lambda: place.condition("IdentitiesReady").get("reason") == "KeysRead", "the keys")
        yield found


def mount(place: Place, folder: Path) -> Any:
    """Put the operator's files where a pod would have them; the configuration for this machine."""
    found = place.get("ConfigMap", "team-config")
    assert found is not None
    (folder / "keys.json").write_text(found["data"]["kubernetes-jwks.json"])
    (folder / "users").write_text(htpasswd(admin="a"))
    config = json.loads(found["data"]["server.yaml"])
    for block in ("data", "listen", "tls", "tokens"):
        config.pop(block, None)
    config["auth"]["htpasswdFile"] = str(folder / "users")
    (issuer,) = config["access"]["issuers"]
    assert issuer["jwksFile"] == "/etc/cais/config/kubernetes-jwks.json"
    issuer["jwksFile"] = str(folder / "keys.json")
    return config


@pytest.fixture
def server(place: Place, started: Operator, tmp_path: Path) -> Iterator[Server]:
    assert started.process.poll() is None
    with running_server(tmp_path, config=mount(place, tmp_path), login="admin:a") as found:
        found.push_image("apps/x", "v1")
        yield found


def issued(place: Place, account: str, *, audience: str = "", seconds: int = 3600) -> str:
    """What the kubelet asks the API server for, to put it into a pod."""
    namespace, name = account.split("/")
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token"
    audiences = [audience or f"https://team.{place.team}.svc:5000"]
    body = {"spec": {"audiences": audiences, "expirationSeconds": seconds}}
    found: str = place.api.request("POST", path, body)["status"]["token"]
    return found


def ask(server: Server, method: str, path: str, token: str, scheme: str = "Basic") -> Answer:
    value = token if scheme == "Bearer" else base64.b64encode(f"pod:{token}".encode()).decode()
    headers = {"Authorization": f"{scheme} {value}"}
    return server.ask(method, path, headers=headers, login=None)


def statuses(server: Server, method: str, path: str, token: str) -> set[int]:
    """What is answered to a token as a password, and as it is."""
    return {ask(server, method, path, token, scheme).status for scheme in ("Basic", "Bearer")}


def status(server: Server, method: str, path: str, token: str) -> int:
    """The same, both as a password and as it is."""
    (found,) = statuses(server, method, path, token)
    return found


def test_the_tokens_of_pods_do_what_the_rules_say(place: Place, server: Server) -> None:
    upload, image = "/v2/apps/new/blobs/uploads/", "/v2/apps/x/manifests/v1"
    for account, method, path, expected in (
        ("builds/pusher", "GET", image, 200),
        ("builds/pusher", "POST", upload, 202),
        ("builds/pusher", "POST", "/v2/other/blobs/uploads/", 403),
        ("builds/pusher", "DELETE", image, 403),
        ("builds/other", "GET", image, 403),
        ("deployments/app", "GET", image, 200),
        ("deployments/app", "POST", upload, 403),
    ):
        assert status(server, method, path, issued(place, account)) == expected, (account, path)


def test_tokens_for_others_or_for_too_long_are_refused(place: Place, server: Server) -> None:
    for audience in ("https://kubernetes.default.svc", f"https://other.{place.team}.svc:5000"):
        assert (
            status(server, "GET", "/v2/", issued(place, "builds/pusher", audience=audience)) == 401
        )
    assert status(server, "GET", "/v2/", issued(place, "builds/pusher", seconds=3607)) == 200
    assert status(server, "GET", "/v2/", issued(place, "builds/pusher", seconds=7200)) == 401


def by_the_cluster(place: Place, like: str, **changes: Any) -> str:
    """A token that the cluster's own key signs, and that the API server would not make."""
    header, claims, _ = (part + "=" * (-len(part) % 4) for part in like.split("."))
    said = {**json.loads(base64.urlsafe_b64decode(claims)), **changes}
    key = ECKey.import_key((place.api.folder / "tokens.key").read_bytes())
    return jws.serialize_compact(
        json.loads(base64.urlsafe_b64decode(header)), json.dumps(said), key, algorithms=["ES256"]
    )


def test_a_token_that_is_over_is_refused_though_the_cluster_has_signed_it(
    place: Place, server: Server
) -> None:
    good, now = issued(place, "builds/pusher"), int(time.time())
    for changes, expected in (
        ({}, 200),
        ({"iat": now - 4000, "nbf": now - 4000, "exp": now - 400}, 401),
        ({"nbf": now + 300}, 401),
        ({"sub": "system:serviceaccount:builds:other"}, 200),
        ({"sub": "system:admin"}, 401),
    ):
        assert status(server, "GET", "/v2/", by_the_cluster(place, good, **changes)) == expected


def test_a_changed_rule_reaches_a_server_that_runs(
    place: Place, server: Server, tmp_path: Path
) -> None:
    token = issued(place, "builds/pusher")
    assert status(server, "GET", "/v2/apps/x/manifests/v1", token) == 200
    place.api.merge(place.path("Registry", "team"), {"spec": {"access": {"rules": RULES[1:]}}})

    def is_written() -> bool:
        found = (place.get("ConfigMap", "team-config") or {})["data"]["server.yaml"]
        return "builds" not in found

    wait_for(is_written, "the operator has taken the rule out")
    (tmp_path / "server.yaml").write_text(json.dumps(mount(place, tmp_path)))
    wait_until(
        lambda: statuses(server, "GET", "/v2/apps/x/manifests/v1", token) == {403},
        what="the server keeps the pod out",
    )


def test_the_keys_of_another_issuer_are_taken_from_a_config_map_that_comes_later(
    place: Place, started: Operator
) -> None:
    assert started.leads()
    hub = {"name": "hub", "issuer": "https://ci.example.com", "jwksRef": {"name": "hub-keys"}}
    change = {"spec": {"access": {"issuers": [hub]}}}
    place.api.merge(place.path("Registry", "team"), change)
    wait_for(
        lambda: place.condition("IdentitiesReady").get("reason") == "KeysMissing", "it is missed"
    )
    body = {"metadata": {"name": "hub-keys"}, "data": {"jwks.json": published(rsa()).decode()}}
    place.api.request("POST", place.path("ConfigMap"), body)
    wait_for(lambda: place.condition("IdentitiesReady")["reason"] == "KeysRead", "it is taken")
    written = (place.get("ConfigMap", "team-config") or {})["data"]
    assert json.loads(written["issuer-hub.json"])["keys"][0]["kid"] == "one"
    place.delete("ConfigMap", "hub-keys")
    wait_for(lambda: place.condition("IdentitiesReady")["reason"] == "KeysMissing", "it is gone")


def test_an_operator_with_nothing_to_do_writes_nothing(place: Place, started: Operator) -> None:
    def have_looked(number: int) -> None:
        change = {"metadata": {"labels": {"looked": str(number)}}}
        place.api.merge(place.path("Registry", "team"), change)
        started.wait_looked_again(1)

    for number in range(2):  # Events of the looks before come after their status
        have_looked(number)
    before = place.writes()
    for number in range(2, 5):
        have_looked(number)
    assert place.writes() == before
    wait_for(lambda: place.condition("IdentitiesReady")["status"] == "True", "the condition stays")
