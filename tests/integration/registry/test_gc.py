# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.registry import Server, digest_of, htpasswd, make_certificate, running, wait_until

AT_ONCE = {"garbageCollection": {"pushLease": "0s", "undeleteWindow": "0s"}}
LAYER = os.urandom(2_000_000)


@pytest.fixture
def quick(tmp_path: Path) -> Iterator[Server]:
    """A server that gives space back at once."""
    with running(tmp_path, config=AT_ONCE) as server:
        yield server


def bytes_on_disk(server: Server) -> int:
    return sum(path.stat().st_size for path in (server.data / "blobs").rglob("*") if path.is_file())


def collect(server: Server, **options: Any) -> dict[str, Any]:
    started = server.ask("POST", "/cais/v1/gc", json.dumps(options).encode())
    assert started.status == 202
    path = started["Location"] or ""
    assert path == f"/cais/v1/gc/{started.json['id']}"
    wait_until(lambda: server.ask("GET", path).json["state"] != "Running", what="the run ends")
    found: dict[str, Any] = server.ask("GET", path).json
    return found


def command(server: Server, name: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "cais_registry", name, "--server", server.url]
    return subprocess.run(
        [*line, *map(str, arguments)], capture_output=True, text=True, check=False
    )


def test_space_of_a_deleted_image_comes_back_and_the_rest_is_kept(quick: Server) -> None:
    quick.push_image("a", "old", layer=LAYER)
    quick.push_image("a", "new", layer=b"kept")
    full = bytes_on_disk(quick)
    quick.ask("DELETE", "/v2/a/manifests/old")
    run = collect(quick)
    assert run["state"] == "Succeeded"
    assert run["bytesReclaimed"] >= len(LAYER)
    assert run["manifestsDeleted"] == 1
    assert run["blobsDeleted"] >= 1
    assert run["finishedAt"].endswith("Z")
    assert bytes_on_disk(quick) <= full - len(LAYER)
    assert quick.ask("GET", "/v2/a/manifests/new").status == 200
    assert quick.ask("GET", f"/v2/a/blobs/{digest_of(b'kept')}").body == b"kept"
    runs = quick.ask("GET", "/cais/v1/gc").json
    assert runs["current"] is None
    assert runs["last"] == runs["lastSuccess"] == run


def test_a_dry_run_counts_and_changes_nothing(quick: Server) -> None:
    quick.push_image("a", "old", layer=LAYER)
    quick.ask("DELETE", "/v2/a/manifests/old")
    full = bytes_on_disk(quick)
    run = collect(quick, dryRun=True)
    assert run["dryRun"]
    assert bytes_on_disk(quick) == full
    assert quick.ask("GET", "/cais/v1/gc").json["last"] is None


def test_what_was_just_pushed_is_kept_for_the_lease(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        digest = server.push_blob("a", LAYER)
        assert collect(server)["state"] == "Succeeded"
        assert server.ask("HEAD", f"/v2/a/blobs/{digest}").status == 200


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"dryRun": 1}', b'{"dry": true}', b"x" * 5000])
def test_options_that_are_not_understood_start_nothing(quick: Server, body: bytes) -> None:
    answer = quick.ask("POST", "/cais/v1/gc", body)
    assert answer.status in (400, 413)
    assert answer.code
    assert quick.ask("GET", "/cais/v1/gc").json == {
        "current": None,
        "last": None,
        "lastSuccess": None,
        "lastDryRun": None,
    }


def test_usage_counts_each_blob_once(quick: Server) -> None:
    for repo in ("a", "b"):
        quick.push_image(repo, "v1", layer=LAYER)

    def usage() -> Any:
        found = quick.ask("GET", "/cais/v1/usage").json
        return found if found["repositories"] == 2 else None

    found = wait_until(usage, what="the count is new")
    assert found["tags"] == 2
    assert len(LAYER) <= found["bytes"] < len(LAYER) * 2
    assert found["disk"]["capacity"] > found["disk"]["available"] > 0


def test_the_command_waits_reports_and_gives_the_space_back(tmp_path: Path) -> None:
    """As the scheduled job runs it: over TLS, with a narrow account, from files."""
    cert, key = make_certificate(tmp_path)
    (tmp_path / "users").write_text(htpasswd(admin="a", collector="c"))
    (tmp_path / "credentials").write_text("collector:c\n")
    rules = [
        {"users": ["admin"], "repositories": ["**"], "actions": ["pull", "push", "delete"]},
        {"users": ["collector"], "repositories": [], "actions": ["gc", "usage"]},
    ]
    users = str(tmp_path / "users")
    config = {**AT_ONCE, "auth": {"htpasswdFile": users}, "access": {"rules": rules}}
    flags = ("--tls-cert", cert, "--tls-key", key)
    with running(tmp_path, *flags, config=config, login="admin:a") as server:
        server.push_image("a", "old", layer=LAYER)
        server.ask("DELETE", "/v2/a/manifests/old")
        before = bytes_on_disk(server)
        report = tmp_path / "report"
        login = ("--ca-file", cert, "--credentials-file", tmp_path / "credentials")
        ran = command(server, "gc", *login, "--wait", "--report-file", report)
        assert ran.returncode == 0, ran.stderr
        assert ran.stdout.startswith("Succeeded: deleted 1 manifests and ")
        (line,) = report.read_text().splitlines()
        assert json.loads(line)["bytesReclaimed"] >= len(LAYER)
        assert bytes_on_disk(server) <= before - len(LAYER)
        shown = command(server, "usage", *login, "-o", "json")
        assert json.loads(shown.stdout)["repositories"] == 0
        refused = command(server, "gc", "--ca-file", cert)
        assert refused.returncode == 1
        assert "log in first" in refused.stderr
        assert "401 UNAUTHORIZED" in refused.stderr
        untrusted = command(server, "gc")
        assert untrusted.returncode == 1
        assert "certificate" in untrusted.stderr


def test_a_password_that_the_command_sets_lets_one_in(tmp_path: Path) -> None:
    users = tmp_path / "users"
    users.write_text("# people\n" + htpasswd(bob="b"))

    def passwd(user: str, text: str) -> subprocess.CompletedProcess[str]:
        line = [sys.executable, "-m", "cais_registry", "passwd", str(users), user]
        return subprocess.run(line, input=text, capture_output=True, text=True, check=False)

    assert passwd("alice", "first\n").returncode == 0
    with running(tmp_path, "--htpasswd", users) as server:
        assert server.ask("GET", "/v2/", login="alice:first").status == 200
        assert server.ask("GET", "/v2/", login="bob:b").status == 200
        assert passwd("alice", "second\n").returncode == 0

        def ask(who: str) -> int:
            return server.ask("GET", "/v2/", login=who).status

        wait_until(lambda: ask("alice:second") == 200, what="the new password counts")
        assert ask("alice:first") == 401
    before = users.read_text()
    assert before.startswith("# people\n")
    for user, text in (("alice", "\n"), ("alice", "x" * 73 + "\n"), ("not a name", "x\n")):
        refused = passwd(user, text)
        assert refused.returncode in (1, 2)
        assert len(refused.stderr.splitlines()) == 1
    assert users.read_text() == before
