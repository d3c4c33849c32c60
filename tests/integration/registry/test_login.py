# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.registry import PROGRAM, Server, digest_of, htpasswd, running, wait_until

USERS = {"admin": "a", "ci": "c", "reader": "r", "gc": "g", "nobody": "n"}
RULES: list[dict[str, Any]] = [
    {"users": ["admin"], "repositories": ["**"], "actions": ["pull", "push", "delete", "admin"]},
    {"users": ["ci"], "repositories": ["apps/**"], "actions": ["pull", "push"]},
    {"users": ["reader"], "repositories": ["apps/**"], "actions": ["pull"]},
    {"users": ["gc"], "repositories": [], "actions": ["gc", "usage"]},
]


def configuration(folder: Path, *, rules: list[dict[str, Any]], anonymous: list[str]) -> Any:
    return {
        "auth": {"htpasswdFile": str(folder / "users"), "realm": "tests"},
        "access": {"anonymous": anonymous, "rules": rules},
    }


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("guarded")
    (folder / "users").write_text(htpasswd(**USERS))
    config = configuration(folder, rules=RULES, anonymous=[])
    with running(folder, config=config, login="admin:a") as server:
        server.push_image("apps/x", "v1")
        server.push_image("secret", "v1")
        yield server


BLOB = f"blobs/{digest_of(b'{}')}"


@pytest.mark.parametrize(
    ("login", "method", "path", "status"),
    [
        (None, "GET", "/v2/", 401),
        (None, "HEAD", "/v2/", 401),
        (None, "GET", "/v2/apps/x/manifests/v1", 401),
        (None, "HEAD", f"/v2/apps/x/{BLOB}", 401),
        (None, "POST", "/v2/apps/x/blobs/uploads/", 401),
        (None, "GET", "/v2/_catalog", 401),
        (None, "GET", "/v2/missing/tags/list", 401),
        (None, "POST", "/cais/v1/gc", 401),
        (None, "GET", "/cais/v1/config", 401),
        (None, "GET", "/healthz", 200),
        (None, "GET", "/readyz", 200),
        (None, "GET", "/metrics", 200),
        ("admin:wrong", "GET", "/v2/", 401),
        ("stranger:a", "GET", "/v2/", 401),
        ("admin:" + "a" * 73, "GET", "/v2/", 401),
        ("nobody:n", "GET", "/v2/", 200),
        ("nobody:n", "GET", "/v2/apps/x/manifests/v1", 403),
        ("nobody:n", "GET", "/v2/missing/manifests/v1", 403),
        ("nobody:n", "GET", f"/v2/apps/x/{BLOB}", 403),
        ("nobody:n", "GET", "/v2/apps/x/tags/list", 403),
        ("nobody:n", "GET", f"/v2/apps/x/referrers/{digest_of(b'')}", 403),
        ("reader:r", "GET", "/v2/apps/x/manifests/v1", 200),
        ("reader:r", "HEAD", f"/v2/apps/x/{BLOB}", 200),
        ("reader:r", "GET", "/v2/apps/x/tags/list", 200),
        ("reader:r", "POST", "/v2/apps/x/blobs/uploads/", 403),
        ("reader:r", "PUT", "/v2/apps/x/manifests/v1", 403),
        ("reader:r", "DELETE", "/v2/apps/x/manifests/v1", 403),
        ("reader:r", "GET", "/v2/secret/manifests/v1", 403),
        ("ci:c", "POST", "/v2/apps/new/blobs/uploads/", 202),
        ("ci:c", "DELETE", "/v2/apps/x/manifests/v1", 403),
        ("ci:c", "DELETE", f"/v2/apps/x/{BLOB}", 403),
        ("ci:c", "POST", "/v2/other/blobs/uploads/", 403),
        ("ci:c", "GET", "/cais/v1/usage", 403),
        ("gc:g", "GET", "/cais/v1/usage", 200),
        ("gc:g", "GET", "/cais/v1/gc", 200),
        ("gc:g", "GET", "/cais/v1/config", 200),
        ("gc:g", "GET", "/v2/apps/x/manifests/v1", 403),
        ("admin:a", "GET", "/cais/v1/usage", 200),
        ("admin:a", "GET", "/v2/secret/manifests/v1", 200),
    ],
)
def test_who_may_do_what(
    guarded: Server, login: str | None, method: str, path: str, status: int
) -> None:
    answer = guarded.ask(method, path, login=login)
    assert answer.status == status
    if status == 401:
        assert answer["WWW-Authenticate"] == 'Basic realm="tests", charset="UTF-8"'
    if status in (401, 403) and method != "HEAD":
        assert answer.code == {401: "UNAUTHORIZED", 403: "DENIED"}[status]
    if path.startswith("/v2"):
        assert answer["Docker-Distribution-Api-Version"] == "registry/2.0"


def test_a_password_that_no_one_can_have_is_refused_in_words(guarded: Server) -> None:
    for login in ("admin:" + "a" * 73, "stranger:" + "a" * 73):
        answer = guarded.ask("GET", "/v2/", login=login)
        assert answer.code == "UNAUTHORIZED"
        assert b"no password is longer than 72 bytes" in answer.body


def test_what_one_may_not_read_looks_like_what_does_not_exist(guarded: Server) -> None:
    answers = [
        guarded.ask("GET", f"/v2/{name}/manifests/v1", login="reader:r")
        for name in ("secret", "absent")
    ]
    assert answers[0].status == answers[1].status
    assert answers[0].body == answers[1].body


@pytest.mark.parametrize(
    ("login", "names"),
    [("admin:a", ["apps/x", "secret"]), ("reader:r", ["apps/x"]), ("nobody:n", [])],
)
def test_the_catalog_shows_what_one_may_pull_in_full_pages(
    guarded: Server, login: str, names: list[str]
) -> None:
    assert guarded.ask("GET", "/v2/_catalog", login=login).json == {"repositories": names}
    page = guarded.ask("GET", "/v2/_catalog?n=1", login=login)
    assert page.json["repositories"] == names[:1]
    assert (page["Link"] is None) == (len(names) < 2)


def test_a_blob_is_mounted_only_from_where_one_may_pull(guarded: Server) -> None:
    digest = guarded.push_blob("secret", b"classified")
    guarded.push_blob("apps/x", b"common")
    for source in ("&from=secret", ""):
        path = f"/v2/apps/mine/blobs/uploads/?mount={digest}{source}"
        assert guarded.ask("POST", path, login="ci:c").status == 202
    path = f"/v2/apps/mine/blobs/uploads/?mount={digest_of(b'common')}"
    assert guarded.ask("POST", path, login="ci:c").status == 201


def test_an_upload_belongs_to_who_began_it(guarded: Server) -> None:
    location = guarded.ask("POST", "/v2/apps/x/blobs/uploads/", login="ci:c")["Location"] or ""
    stolen = guarded.ask("PATCH", location, b"abc", login="admin:a")
    assert (stolen.status, stolen.code) == (404, "BLOB_UPLOAD_UNKNOWN")
    assert guarded.ask("PATCH", location, b"abc", login="ci:c").status == 202


def test_the_log_names_users_and_mirrored_registries_and_no_secret(guarded: Server) -> None:
    guarded.ask("GET", "/v2/apps/x/manifests/v1?ns=docker.io", login="reader:r")
    guarded.ask("GET", "/v2/", login="reader:very-wrong-password")
    guarded.ask("GET", "/v2/", login="very-unknown-user:x")

    def of_reader() -> Any:
        return next((line for line in guarded.lines() if line.get("ns") == "docker.io"), None)

    line = wait_until(of_reader, what="the request is logged")
    assert line["user"] == "reader"
    assert (line["method"], line["status"]) == ("GET", 200)
    assert line["path"] == "/v2/apps/x/manifests/v1"
    assert line["bytes"] > 0
    text = guarded.log.read_text()
    assert "very-wrong-password" not in text
    assert "very-unknown-user" not in text
    assert "Basic" not in text


def test_users_and_rules_change_without_a_restart(tmp_path: Path) -> None:
    users, config = tmp_path / "users", tmp_path / "server.yaml"
    users.write_text(htpasswd(ci="old"))
    first = configuration(tmp_path, rules=[], anonymous=[])
    with running(tmp_path, config=first) as server:
        assert server.ask("GET", "/v2/a/tags/list", login="ci:old").status == 403
        workers = server.workers
        rules = [{"users": ["ci"], "repositories": ["**"], "actions": ["pull", "usage"]}]
        config.write_text(json.dumps(configuration(tmp_path, rules=rules, anonymous=[])))

        def ask(who: str | None) -> int:
            return server.ask("GET", "/v2/a/tags/list", login=who).status

        wait_until(lambda: ask("ci:old") == 404, what="the new rule counts")
        users.write_text(htpasswd(ci="new"))
        wait_until(lambda: ask("ci:new") == 404, what="the new password counts")
        assert ask("ci:old") == 401
        users.write_text("broken")

        def error() -> Any:
            return server.ask("GET", "/cais/v1/config", login="ci:new").json["error"]

        assert "line 1" in wait_until(error, what="the bad file is reported")
        assert ask("ci:new") == 404
        config.write_text(json.dumps(configuration(tmp_path, rules=[], anonymous=["pull"])))
        wait_until(lambda: ask(None) == 404, what="anyone may pull")
        assert server.ask("POST", "/v2/a/blobs/uploads/", login=None).status == 401
        assert ask("ci:old") == 401
        assert server.workers == workers


def test_a_password_is_changed_without_a_request_that_fails(tmp_path: Path) -> None:
    """By the program's own command: the new one beside the old, then the new one alone."""
    users, config = tmp_path / "users", configuration(tmp_path, rules=RULES, anonymous=[])
    users.write_text(htpasswd(admin="old", other="x"))
    with running(tmp_path, config=config) as server:

        def ask(login: str) -> int:
            return server.ask("GET", "/v2/", login=login).status

        change(users, "new", "--keep-old")
        wait_until(lambda: ask("admin:new") == 200, what="the new password counts")
        assert ask("admin:old") == 200
        change(users, "newer", "--keep-old")
        wait_until(lambda: ask("admin:newer") == 200, what="the newest counts")
        assert [ask("admin:old"), ask("admin:new")] == [401, 200]
        change(users, "newest")
        wait_until(lambda: ask("admin:newest") == 200, what="only the newest counts")
        assert [ask("admin:new"), ask("admin:newer"), ask("other:x")] == [401, 401, 200]


def change(users: Path, password: str, *options: str) -> None:
    command = [sys.executable, *PROGRAM, "passwd", *options, str(users), "admin"]
    subprocess.run(command, input=f"{password}\n", text=True, check=True)


def test_what_is_loaded_is_reported_by_its_hash(tmp_path: Path) -> None:
    users = tmp_path / "users"
    users.write_text(htpasswd(ci="x"))
    rules = [{"users": ["ci"], "repositories": [], "actions": ["usage"]}]
    config = configuration(tmp_path, rules=rules, anonymous=[])
    with running(tmp_path, config=config, login="ci:x") as server:

        def is_loaded() -> bool:
            found = server.ask("GET", "/cais/v1/config").json
            wanted = {
                str(path): digest_of(path.read_bytes()).removeprefix("sha256:")
                for path in (users, tmp_path / "server.yaml")
            }
            return bool((found["files"], found["error"]) == (wanted, None))

        assert is_loaded()
        users.write_text(htpasswd(ci="x", other="y"))
        wait_until(is_loaded, what="the new file is loaded")


def test_an_htpasswd_file_alone_lets_its_users_do_everything(tmp_path: Path) -> None:
    (tmp_path / "users").write_text(htpasswd(alice="x"))
    with running(tmp_path, "--htpasswd", tmp_path / "users", login="alice:x") as server:
        server.push_image("a", "v1")
        assert server.ask("DELETE", "/v2/a/manifests/v1").status == 202
        assert server.ask("GET", "/cais/v1/usage").status == 200
        assert server.ask("GET", "/v2/", login=None).status == 401
