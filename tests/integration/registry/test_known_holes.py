# SPDX-License-Identifier: Apache-2.0
"""Holes that registries have had: each is tried here on a real server, and found closed.

Holes that are not here have tests where the subject is: manifests without bounds and truncated
bodies in `test_bad_input`, connections that never end in `test_idle`, rules that are taken back in
`test_login`, passwords in `tests/registry/test_credentials.py`, uploads of others in `test_login`
and `test_blobs`, deletion without the right to it in `test_login`.
"""

from __future__ import annotations

import base64
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.registry import OCI_IMAGE, OCI_INDEX, Server, digest_of, htpasswd, running, wait_until

HEX = "a" * 64
USERS = {"admin": "a", "writer": "w", "creator": "c", "reader": "r", "gc": "g"}
RULES = [
    {"users": ["admin"], "repositories": ["**"], "actions": ["pull", "push", "delete", "admin"]},
    {"users": ["writer"], "repositories": ["apps/*"], "actions": ["pull", "push"]},
    {"users": ["creator"], "repositories": ["apps/*"], "actions": ["pull", "create"]},
    {"users": ["reader"], "repositories": ["apps/*"], "actions": ["pull"]},
    {"users": ["gc"], "repositories": [], "actions": ["gc"]},
]


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("guarded")
    (folder / "users").write_text(htpasswd(**USERS))
    config = {
        "auth": {"htpasswdFile": str(folder / "users"), "realm": "tests"},
        "access": {"rules": RULES},
    }
    with running(folder, config=config, login="admin:a") as server:
        server.push_image("apps/x", "v1")
        server.push_image("secret", "v1", layer=b"classified")
        yield server


@pytest.mark.parametrize("path", ["/v2/_catalog", "/v2/{repo}/tags/list"])
@pytest.mark.parametrize("n", [2**31, 2**63, 10**17, 10**4000])
def test_a_page_costs_what_it_holds_whatever_size_is_asked_for(
    server: Server, repo: str, path: str, n: int
) -> None:
    """CVE-2023-2253: room was made for as many names as a client asked for."""
    server.push_image(repo, "v1")
    answer = server.ask("GET", f"{path.format(repo=repo)}?n={n}")
    assert answer.status == 200
    assert repo in answer.body.decode()


AMBIGUOUS: list[tuple[str, dict[str, Any]]] = [
    (OCI_IMAGE, {"mediaType": OCI_INDEX, "manifests": []}),
    (OCI_INDEX, {"mediaType": OCI_INDEX, "manifests": [], "layers": []}),
    (OCI_INDEX, {"manifests": [], "config": {"mediaType": "a/b", "digest": HEX, "size": 1}}),
    (OCI_IMAGE, {"manifests": [], "layers": []}),
    ("application/json", {"manifests": [], "layers": []}),
]


@pytest.mark.parametrize(("kind", "more"), AMBIGUOUS)
def test_a_manifest_is_of_one_kind(
    server: Server, repo: str, kind: str, more: dict[str, Any]
) -> None:
    """CVE-2021-41190: one document was an image to some clients and an index to others."""
    content = json.dumps({"schemaVersion": 2, **more}).encode()
    answer = server.ask("PUT", f"/v2/{repo}/manifests/v1", content, {"Content-Type": kind})
    assert (answer.status, answer.code) == (400, "MANIFEST_INVALID")
    assert server.ask("GET", f"/v2/{repo}/tags/list").status == 404


def test_a_key_that_stands_twice_is_refused(server: Server, repo: str) -> None:
    """Readers of JSON disagree about which one counts."""
    content = b'{"schemaVersion": 2, "manifests": [], "manifests": []}'
    answer = server.ask("PUT", f"/v2/{repo}/manifests/v1", content, {"Content-Type": OCI_INDEX})
    assert (answer.status, answer.code) == (400, "MANIFEST_INVALID")


def test_what_was_deleted_does_not_come_back_from_a_cache(server: Server, repo: str) -> None:
    """CVE-2026-35172: a cache of memberships gave access to deleted blobs."""
    manifest = server.push_image(repo, "v1", layer=b"short-lived")
    blob = digest_of(b"short-lived")
    paths = [f"/v2/{repo}/manifests/v1", f"/v2/{repo}/manifests/{manifest}"]
    paths.append(f"/v2/{repo}/blobs/{blob}")
    for _ in range(3):  # what is remembered, is remembered now
        assert [server.ask("GET", path).status for path in paths] == [200] * 3
        assert [server.ask("HEAD", path).status for path in paths] == [200] * 3
    for reference in (f"manifests/{manifest}", f"blobs/{blob}"):
        assert server.ask("DELETE", f"/v2/{repo}/{reference}").status == 202
    for method in ("GET", "HEAD"):
        assert [server.ask(method, path).status for path in paths] == [404] * 3


@pytest.mark.parametrize("kind", ["manifests", "blobs"])
def test_content_of_one_repository_is_not_in_another(guarded: Server, kind: str) -> None:
    """IDOR (CVE-2022-31667 and others): things were found by their id, not through their owner."""
    digest = digest_of(b"classified")
    if kind == "manifests":
        digest = str(guarded.ask("HEAD", "/v2/secret/manifests/v1")["Docker-Content-Digest"])
    assert guarded.ask("GET", f"/v2/secret/{kind}/{digest}").status == 200
    for method in ("GET", "HEAD"):
        path = f"/v2/apps/x/{kind}/{digest}"
        assert guarded.ask(method, path, login="reader:r").status == 404
    assert guarded.ask("DELETE", f"/v2/apps/x/{kind}/{digest}").status == 404


def test_one_who_may_not_push_sets_no_tag_on_any_way(guarded: Server) -> None:
    """CVE-2026-31801 and zot#4266: an existing tag was overwritten, `?tag=` was not authorised."""
    before = guarded.ask("GET", "/v2/apps/x/manifests/v1")
    content = before.body + b" "
    digest, kind = digest_of(content), {"Content-Type": OCI_IMAGE}
    paths = ("v1", digest, f"{digest}?tag=v1", f"{digest}?tag=new&tag=v1", "v1?tag=v1")
    for login, repo in (("reader:r", "apps/x"), ("writer:w", "secret"), ("writer:w", "apps/x/y")):
        for path in paths:
            url = f"/v2/{repo}/manifests/{path}"
            assert guarded.ask("PUT", url, content, kind, login=login).status == 403
    assert guarded.ask("GET", "/v2/apps/x/manifests/v1").body == before.body
    assert guarded.ask("GET", "/v2/apps/x/tags/list").json["tags"] == ["v1"]


def test_one_who_may_only_create_moves_no_tag_on_any_way(guarded: Server) -> None:
    """CVE-2026-31801: who might create tags, but not update them, overwrote `latest`."""
    before = guarded.ask("GET", "/v2/apps/x/manifests/v1")
    content = before.body + b" "
    digest, kind = digest_of(content), {"Content-Type": OCI_IMAGE}
    for path in ("v1", f"{digest}?tag=v1", f"{digest}?tag=new&tag=v1", "new?tag=v1", "v1?tag=new"):
        url = f"/v2/apps/x/manifests/{path}"
        answer = guarded.ask("PUT", url, content, kind, login="creator:c")
        assert (answer.status, answer.code) == (403, "DENIED")
        assert b"you may create tags, not move them" in answer.body
    assert guarded.ask("GET", "/v2/apps/x/manifests/v1").body == before.body
    assert guarded.ask("GET", "/v2/apps/x/tags/list").json["tags"] == ["v1"]
    for path in (digest, f"{digest}?tag=made", "made", "v1"):
        sent = before.body if path == "v1" else content
        url = f"/v2/apps/x/manifests/{path}"
        assert guarded.ask("PUT", url, sent, kind, login="creator:c").status == 201
    for path in (f"manifests/{digest}", "manifests/made", f"blobs/{digest_of(b'{}')}"):
        assert guarded.ask("DELETE", f"/v2/apps/x/{path}", login="creator:c").status == 403
    assert guarded.ask("DELETE", f"/v2/apps/x/manifests/{digest}").status == 202


def test_a_bad_tag_among_many_changes_nothing(server: Server, repo: str) -> None:
    server.push_image(repo, "v1")
    content = server.ask("GET", f"/v2/{repo}/manifests/v1").body
    path = f"/v2/{repo}/manifests/{digest_of(content)}?tag=good&tag=-bad"
    answer = server.ask("PUT", path, content, {"Content-Type": OCI_IMAGE})
    assert (answer.status, answer.code) == (400, "TAG_INVALID")
    assert server.ask("GET", f"/v2/{repo}/tags/list").json["tags"] == ["v1"]


def test_what_is_forbidden_says_nothing_of_what_exists(guarded: Server) -> None:
    """The same status, headers and body for what is there and for what is not."""
    blob = digest_of(b"classified")
    for login in (None, "reader:r"):
        for method, rest in (
            ("GET", "manifests/v1"),
            ("GET", f"blobs/{blob}"),
            ("GET", "tags/list"),
            ("GET", f"referrers/{blob}"),
            ("PUT", "manifests/v1"),
            ("POST", "blobs/uploads/"),
            ("DELETE", "manifests/v1"),
            ("DELETE", f"blobs/{blob}"),
        ):
            there, not_there = (
                guarded.ask(method, f"/v2/{name}/{rest}", login=login)
                for name in ("secret", "absent")
            )
            assert there.status == (401 if login is None else 403)
            assert (there.status, there.body) == (not_there.status, not_there.body)
            assert sorted(there.headers.keys()) == sorted(not_there.headers.keys())


TOKEN = base64.urlsafe_b64encode(b'{"alg":"none","jwk":{"kty":"oct","k":"x"}}').decode().rstrip("=")


@pytest.mark.parametrize(
    "header",
    [
        f"Bearer {TOKEN}.{TOKEN}.",
        f"Bearer {TOKEN}.{TOKEN}.{TOKEN}",
        "Bearer " + "a" * 100_000,
        "Negotiate abc",
        "Digest username=admin",
        "Basic",
        "Basic YWRtaW46YQ==, Basic YWRtaW46YQ==",
        "Basic " + base64.b64encode(b"admin:a\n").decode(),
        "Basic " + base64.b64encode(b"admin:a\0").decode(),
        "Basic " + base64.b64encode(b"*:a").decode(),
        "Basic " + base64.b64encode(b":").decode(),
    ],
)
def test_no_other_way_of_logging_in_is_believed(guarded: Server, header: str) -> None:
    """CVE-2025-24976: a token that brought its own key was believed."""
    answer = guarded.ask("GET", "/v2/", headers={"Authorization": header}, login=None)
    assert (answer.status, answer.code) == (401, "UNAUTHORIZED")


def test_no_client_tells_where_passwords_are_sent_to(guarded: Server) -> None:
    """CVE-2026-33540, zot#4238, zot#3980: realms and redirects by the client's word; any origin."""
    lies = {"Host": "evil.example", "X-Forwarded-Host": "evil.example", "Origin": "https://evil"}
    for method in ("GET", "HEAD", "POST"):
        answer = guarded.ask(method, "/v2/apps/x/tags/list", headers=lies, login=None)
        text = str(answer.headers)
        assert "evil" not in text
        assert "Access-Control" not in text
    answer = guarded.ask("OPTIONS", "/v2/", headers=lies, login=None)
    assert (answer.status, answer["Access-Control-Allow-Origin"]) == (405, None)


def test_no_address_that_a_client_names_is_called(server: Server, repo: str) -> None:
    """CVE-2026-2376: the server could be made to send requests for others."""
    with socket.create_server(("127.0.0.1", 0)) as trap:
        trap.settimeout(0)
        address = f"http://127.0.0.1:{trap.getsockname()[1]}/x"
        layer = {"mediaType": "a/b", "digest": f"sha256:{HEX}", "size": 4, "urls": [address]}
        server.push_image(repo, "v1", annotations={"org.opencontainers.image.source": address})
        config = {"mediaType": "a/b", "digest": digest_of(b"{}"), "size": 2, "urls": [address]}
        manifest = {"schemaVersion": 2, "mediaType": OCI_IMAGE, "config": config, "layers": [layer]}
        server.push_manifest(repo, "v2", manifest)
        assert server.ask("GET", f"/v2/{repo}/blobs/sha256:{HEX}?ns={address}").status == 404
        assert server.ask("GET", f"/v2/{repo}/manifests/v2?ns={address}").json == manifest
        with pytest.raises(BlockingIOError):
            trap.accept()


def test_an_extra_field_in_a_request_is_refused(guarded: Server) -> None:
    """CVE-2019-16097: a field that was not expected made its sender an administrator."""
    for noun in ("gc", "fsck"):
        body = json.dumps({"admin": True}).encode()
        answer = guarded.ask("POST", f"/cais/v1/{noun}", body)
        assert (answer.status, answer.code) == (400, "UNSUPPORTED")


@pytest.mark.parametrize("path", ["/v2/_catalog", "/v2/apps/x/tags/list", "/cais/v1/usage"])
def test_nothing_is_listed_for_someone_anonymous(guarded: Server, path: str) -> None:
    """CVE-2020-29662: the catalog was readable without a login."""
    assert guarded.ask("GET", path, login=None).status == 401


def test_the_part_of_the_admin_api_that_is_given_is_all_that_is_given(guarded: Server) -> None:
    for path in ("/cais/v1/usage", "/cais/v1/config", "/cais/v1/fsck"):
        assert guarded.ask("GET", path, login="gc:g").status == 403
    assert guarded.ask("POST", "/cais/v1/fsck", b"{}", login="gc:g").status == 403


@pytest.mark.parametrize("login", ["admin:admin", "admin:", "admin:Harbor12345", "root:root", ":"])
def test_no_password_is_known_from_the_start(tmp_path: Path, login: str) -> None:
    """CVE-2026-4404: a default password of the administrator."""
    (tmp_path / "users").write_text("")
    with running(tmp_path, "--htpasswd", tmp_path / "users") as server:
        assert server.ask("GET", "/v2/", login=login).status == 401
        assert server.ask("GET", "/v2/", login=None).status == 401


def test_indexes_within_indexes_cost_no_more_than_each_one(server: Server, repo: str) -> None:
    """Walking them all, again and again, is what made others hang."""
    inner: list[dict[str, Any]] = []
    for level in range(60):
        index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": inner * 50}
        index["annotations"] = {"level": str(level)}
        digest = server.push_manifest(repo, "deep", index)
        size = len(json.dumps(index))
        inner = [{"mediaType": OCI_INDEX, "digest": digest, "size": size}]
    assert server.ask("DELETE", f"/v2/{repo}/manifests/deep").status == 202
    run = server.ask("POST", "/cais/v1/gc", b"{}").json

    def ended() -> bool:
        state = server.ask("GET", f"/cais/v1/gc/{run['id']}").json["state"]
        return bool(state == "Succeeded")

    wait_until(ended, what="garbage collection ends")


@pytest.mark.parametrize("method", ["PUT", "POST"])
def test_nothing_is_not_taken_for_something(server: Server, repo: str, method: str) -> None:
    """distribution#4489: an empty body was kept as the blob that was announced."""
    digest, path = digest_of(b"something"), f"/v2/{repo}/blobs/uploads/"
    if method == "PUT":
        path = server.ask("POST", path)["Location"] or ""
    answer = server.ask(method, f"{path}?digest={digest}", b"")
    assert (answer.status, answer.code) == (400, "DIGEST_INVALID")
    assert server.ask("HEAD", f"/v2/{repo}/blobs/{digest}").status == 404
