# SPDX-License-Identifier: Apache-2.0
"""What was deleted comes back by the command, for as long as it is kept."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from support.registry import Server, htpasswd, running, wait_until

KEEP = {"garbageCollection": {"pushLease": "0s", "undeleteWindow": "24h"}}


def undelete(server: Server, what: str, *flags: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cais_registry", "undelete", "--server", server.url, *flags]
    return subprocess.run([*command, what], capture_output=True, text=True, check=False)


def collect(server: Server) -> dict[str, Any]:
    place = server.ask("POST", "/cais/v1/gc")["Location"] or ""

    def ended() -> Any:
        run = server.ask("GET", place).json
        return run if run["state"] != "Running" else None

    run: dict[str, Any] = wait_until(ended, what="garbage collection ends")
    return run


def test_a_deleted_image_comes_back_byte_for_byte(tmp_path: Path) -> None:
    with running(tmp_path, config=KEEP) as server:
        digest = server.push_image("team/app", "v1", b"precious")
        content = server.ask("GET", "/v2/team/app/manifests/v1").body
        assert server.ask("DELETE", f"/v2/team/app/manifests/{digest}").status == 202
        assert collect(server)["manifestsDeleted"] == 0
        shown = undelete(server, "team/app")
        assert (shown.returncode, digest in shown.stdout, "v1" in shown.stdout) == (0, True, True)
        listed = json.loads(undelete(server, "team/app", "-o", "json").stdout)
        assert [one["reference"] for one in listed] == [digest, "v1"]

        ended = undelete(server, "team/app:v1")
        assert ended.returncode == 0, ended.stderr
        assert ended.stdout == f"v1 is back: team/app@{digest}, with tags v1\n"
        assert server.ask("GET", "/v2/team/app/manifests/v1").body == content
        again = undelete(server, f"team/app@{digest}")
        assert again.stdout == f"{digest} is there already: team/app@{digest}\n"
    with running(tmp_path, config=KEEP) as server:
        assert server.ask("GET", "/v2/team/app/manifests/v1").body == content


def test_what_garbage_collection_has_taken_does_not_come_back(tmp_path: Path) -> None:
    gone = {"garbageCollection": {"pushLease": "0s", "undeleteWindow": "0s"}}
    with running(tmp_path, config=gone) as server:
        server.push_image("app", "kept", b"kept")
        digest = server.push_image("app", "v1", b"gone")
        assert server.ask("DELETE", "/v2/app/manifests/v1").status == 202
        assert collect(server)["manifestsDeleted"] == 1
        for what in ("app:v1", f"app@{digest}"):
            ended = undelete(server, what)
            assert ended.returncode == 1
            assert "garbage collection has taken it" in ended.stderr
        assert undelete(server, "app").stdout.startswith("nothing that was deleted from app")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "UNSUPPORTED"),
        (b"{", 400, "UNSUPPORTED"),
        (b'{"repository": "app", "reference": "v1", "force": true}', 400, "UNSUPPORTED"),
        (b'{"repository": "App", "reference": "v1"}', 400, "NAME_INVALID"),
        (b'{"repository": "app", "reference": "-"}', 400, "TAG_INVALID"),
        (b'{"repository": "app", "reference": "sha256:abc"}', 400, "DIGEST_INVALID"),
        (b'{"repository": "none", "reference": "v1"}', 404, "NAME_UNKNOWN"),
        (b'{"repository": "app", "reference": "v2"}', 404, "MANIFEST_UNKNOWN"),
    ],
)
def test_bad_requests_are_answered_in_words(
    tmp_path: Path, body: bytes, status: int, code: str
) -> None:
    with running(tmp_path, config=KEEP) as server:
        server.push_image("app", "v1")
        answer = server.ask("POST", "/cais/v1/undelete", body)
        assert (answer.status, answer.code) == (status, code)
        assert server.ask("GET", "/cais/v1/undelete").status == 405
        assert server.ask("POST", "/cais/v1/deleted").status == 405
        assert server.ask("GET", "/cais/v1/deleted").code == "NAME_INVALID"


def test_only_an_administrator_brings_things_back(tmp_path: Path) -> None:
    (tmp_path / "users").write_text(htpasswd(admin="a", ci="c"))
    rules = [
        {"users": ["admin"], "repositories": ["**"], "actions": ["pull", "push", "admin"]},
        {"users": ["ci"], "repositories": ["**"], "actions": ["pull", "push", "delete", "gc"]},
    ]
    auth = {"htpasswdFile": str(tmp_path / "users")}
    config = KEEP | {"auth": auth, "access": {"rules": rules}}
    with running(tmp_path, config=config, login="ci:c") as server:
        server.push_image("app", "v1")
        assert server.ask("DELETE", "/v2/app/manifests/v1").status == 202
        wanted = b'{"repository": "app", "reference": "v1"}'
        ask = partial(server.ask, "POST", "/cais/v1/undelete", wanted)
        assert (ask(login=None).status, ask().status) == (401, 403)
        assert server.ask("GET", "/cais/v1/deleted?repository=app").status == 403
        assert server.ask("GET", "/v2/app/manifests/v1").status == 404
        assert ask(login="admin:a").json["tags"] == ["v1"]
        assert server.ask("GET", "/v2/app/manifests/v1").status == 200
