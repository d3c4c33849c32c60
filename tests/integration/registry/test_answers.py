# SPDX-License-Identifier: Apache-2.0
"""What every answer has in common: locations, messages, whether a body is wanted at all."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

import pytest

from support.registry import OCI_IMAGE, Server, digest_of, htpasswd, running

LIES: Mapping[str, str] = {
    "Host": "evil.example",
    "X-Forwarded-Host": "evil.example",
    "X-Forwarded-Proto": "gopher",
    "Forwarded": "host=evil.example;proto=gopher",
}


def test_every_location_is_relative_whatever_the_client_says_of_hosts(
    server: Server, repo: str
) -> None:
    digest = digest_of(b"located")
    begun = server.ask("POST", f"/v2/{repo}/blobs/uploads/", headers=LIES)
    where = begun["Location"] or ""
    patched = server.ask("PATCH", where, b"located", headers=LIES)
    known = server.ask("GET", where, headers=LIES)
    ended = server.ask("PUT", f"{where}?digest={digest}", headers=LIES)
    mounted = server.ask("POST", f"/v2/{repo}/x/blobs/uploads/?mount={digest}", headers=LIES)
    for answer in (begun, patched, known, ended, mounted):
        assert (answer["Location"] or "").startswith(f"/v2/{repo}/")
    server.push_image(repo, "a")
    server.push_image(repo, "b")
    page = server.ask("GET", f"/v2/{repo}/tags/list?n=1", headers=LIES)
    assert page["Link"] == f'</v2/{repo}/tags/list?n=1&last=a>; rel="next"'


def test_a_next_page_keeps_what_was_asked_for(server: Server, repo: str) -> None:
    for tag in ("a", "b"):
        server.push_image(repo, tag)
    page = server.ask("GET", f"/v2/{repo}/tags/list?ns=docker.io&n=1&x=%26y")
    assert page["Link"] == f'</v2/{repo}/tags/list?ns=docker.io&x=%26y&n=1&last=a>; rel="next"'


def test_a_namespace_is_not_claimed_to_be_honoured(server: Server, repo: str) -> None:
    """`?ns=` is what mirrors are sent; this is no mirror, and must not say that it acted on it."""
    server.push_image(repo, "v1")
    for method in ("GET", "HEAD"):
        answer = server.ask(method, f"/v2/{repo}/manifests/v1?ns=docker.io")
        assert (answer.status, answer["OCI-Namespace"]) == (200, None)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("guarded")
    (folder / "users").write_text(htpasswd(ci="x"))
    with running(folder, "--htpasswd", folder / "users", login="ci:x") as server:
        yield server


def expecting(server: Server, method: str, path: str, *headers: str) -> tuple[bytes, bytes]:
    """Send the head of a request, and the body only if asked for it; what came back, twice."""
    lines = (f"{method} {path} HTTP/1.1", "Host: x", "Expect: 100-continue", "Content-Length: 4")
    with server.socket() as client:
        client.sendall("\r\n".join((*lines, *headers, "", "")).encode())
        first = client.recv(65536)
        if not first.startswith(b"HTTP/1.1 100"):
            return first, b""
        client.sendall(b"body")
        return first, client.recv(65536)


LOGGED_IN = "Authorization: Basic Y2k6eA=="


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("POST", "/v2/a/blobs/uploads/", (), 401),
        ("PATCH", f"/v2/a/blobs/uploads/{'0' * 32}", (), 401),
        ("PUT", "/v2/a/manifests/v1", (), 401),
        ("PUT", "/v2/a/manifests/v1", ("Authorization: Basic eDp5",), 401),
        ("PUT", "/v2/A/manifests/v1", (LOGGED_IN,), 400),
        ("PUT", "/v2/a/blobs/uploads/zz", (LOGGED_IN,), 404),
        ("PATCH", f"/v2/a/blobs/uploads/{'0' * 32}", (LOGGED_IN,), 404),
        ("POST", "/v2/a/tags/list", (LOGGED_IN,), 405),
    ],
)
def test_a_body_that_will_be_refused_is_not_asked_for(
    guarded: Server, method: str, path: str, headers: tuple[str, ...], status: int
) -> None:
    first, _ = expecting(guarded, method, path, *headers)
    assert first.startswith(f"HTTP/1.1 {status} ".encode())
    assert b"connection: close" in first.lower()


def test_a_body_that_is_welcome_is_asked_for(guarded: Server) -> None:
    path = f"/v2/a/blobs/uploads/?digest={digest_of(b'body')}"
    first, second = expecting(guarded, "POST", path, LOGGED_IN)
    assert first.startswith(b"HTTP/1.1 100 ")
    assert second.startswith(b"HTTP/1.1 201 ")


def test_a_bad_message_is_answered_with_what_to_do(server: Server, repo: str) -> None:
    """Of the errors that a person is likely to see, each says what comes next."""
    known = server.push_image(repo, "v1")
    layer = digest_of(b"layer")
    for method, path, word in (
        ("GET", f"/v2/{repo}/manifests/none", "push it"),
        ("GET", f"/v2/{repo}/blobs/{digest_of(b'none')}", "push it"),
        ("GET", f"/v2/{repo}/none/tags/list", "pushing"),
        ("GET", f"/v2/{repo}/tags/list?n=x", "like 100"),
        ("GET", f"/v2/{repo}/manifests/sha256:{known[7:20]}", "64 or 128"),
        ("DELETE", f"/v2/{repo}/blobs/{layer}", "delete the manifests"),
        ("PATCH", f"/v2/{repo}/blobs/uploads/{'0' * 32}", "begin a new one"),
        ("PUT", f"/v2/{repo}/manifests/.x", "letters, digits"),
        ("POST", f"/v2/{repo}/manifests/v1", "allowed: GET"),
    ):
        answer = server.ask(method, path)
        assert answer.code
        assert word in answer.json["errors"][0]["message"], path


def test_the_default_type_of_an_answer_is_json(server: Server, repo: str) -> None:
    server.push_image(repo, "v1")
    for path in ("/v2/", "/v2/_catalog", f"/v2/{repo}/tags/list"):
        answer = server.ask("GET", path)
        assert answer["Content-Type"] == "application/json"
        json.loads(answer.body)
    assert server.ask("GET", f"/v2/{repo}/manifests/v1")["Content-Type"] == OCI_IMAGE


def test_what_is_refused_for_use_says_what_is_allowed(server: Server, repo: str) -> None:
    server.push_image(repo, "v1", layer=b"used")
    answer = server.ask("DELETE", f"/v2/{repo}/blobs/{digest_of(b'used')}")
    assert (answer.status, answer["Allow"]) == (405, "GET, HEAD")
