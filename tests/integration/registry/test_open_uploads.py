# SPDX-License-Identifier: Apache-2.0
"""Uploads that are begun and never ended."""

from __future__ import annotations

import http.client
import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

from support.bystander import bystander
from support.registry import Server, htpasswd, running, wait_until

MANY = 10_000
USERS = {"ci": "a", "dev": "b"}
LOGINS = {user: f"{user}:{password}" for user, password in USERS.items()}


def begin(server: Server, count: int) -> set[int]:
    """Begin so many uploads over one connection; every tenth gets a byte. The statuses."""
    found = set()
    with closing(server.connect()) as connection:
        for number in range(count):
            answer = ask(connection, "POST", "/v2/a/blobs/uploads/")
            found.add(answer.status)
            location = answer.headers["Location"]
            if location is not None and number % 10 == 0:
                assert ask(connection, "PATCH", location, b"x").status == 202
    return found


def ask(
    connection: http.client.HTTPConnection, method: str, path: str, body: bytes = b""
) -> http.client.HTTPResponse:
    connection.request(method, path, body)
    answer = connection.getresponse()
    answer.read()
    return answer


def test_ten_thousand_open_uploads_are_the_most(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        server.push_image("a", "v1")
        begin(server, 100)
        before = server.memory()
        with ThreadPoolExecutor(8) as threads:
            found = threads.map(begin, [server] * 8, [(MANY - 100) // 8 + 1] * 8)
            assert set.union(*found) == {202, 429}
        assert server.memory() - before < 32 << 20
        assert len(list((server.data / "uploads").iterdir())) <= MANY // 10 + 8
        refused = server.ask("POST", "/v2/a/blobs/uploads/")
        assert (refused.status, refused.code) == (429, "TOOMANYREQUESTS")
        assert "the registry has 10000 uploads" in refused.json["errors"][0]["message"]
        assert refused["Retry-After"] is not None
        assert server.ask("GET", "/v2/a/manifests/v1").status == 200


def limited(folder: Path, **timeouts: str) -> dict[str, object]:
    (folder / "users").write_text(htpasswd(**USERS))
    rule = {"users": ["*"], "repositories": ["**"], "actions": ["pull", "push", "admin"]}
    return {
        "auth": {"htpasswdFile": str(folder / "users")},
        "access": {"rules": [rule]},
        "limits": {"openUploadsPerUser": 8},
        "timeouts": timeouts,
    }


def test_a_user_at_the_limit_harms_no_other_user(tmp_path: Path) -> None:
    config = limited(tmp_path)
    with running(tmp_path, config=config, login=LOGINS["dev"]) as server, bystander(server):

        def ask_as_ci(method: str, path: str, body: bytes | None = None) -> tuple[int, str | None]:
            answer = server.ask(method, path, body, login=LOGINS["ci"])
            return answer.status, answer["Location"]

        begun = [ask_as_ci("POST", "/v2/a/blobs/uploads/") for _ in range(8)]
        assert {status for status, _ in begun} == {202}
        assert ask_as_ci("POST", "/v2/a/blobs/uploads/")[0] == 429
        assert ask_as_ci("DELETE", begun[0][1] or "")[0] == 204
        assert ask_as_ci("POST", "/v2/a/blobs/uploads/")[0] == 202


def test_uploads_that_nobody_goes_on_with_make_room(tmp_path: Path) -> None:
    config = limited(tmp_path, upload="1s")
    with running(tmp_path, config=config, login=LOGINS["ci"]) as server:
        for _ in range(8):
            location = server.ask("POST", "/v2/a/blobs/uploads/")["Location"] or ""
            server.ask("PATCH", location, b"x")
        assert server.ask("POST", "/v2/a/blobs/uploads/").status == 429
        wait_until(lambda: server.ask("GET", location).status == 404, what="the last one expires")

        def is_collected() -> bool:
            server.ask("POST", "/cais/v1/gc", json.dumps({}).encode())
            return server.ask("POST", "/v2/a/blobs/uploads/").status == 202

        wait_until(is_collected, what="there is room again")
        uploads = server.data / "uploads"
        wait_until(lambda: not any(uploads.iterdir()), what="their bytes are gone")
