# SPDX-License-Identifier: Apache-2.0
"""The real server does what its description of the admin API says, whatever it is asked."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from cais_registry.http import openapi
from support.registry import Server, htpasswd, running

DESCRIPTION = "/cais/v1/openapi.json"
RULES: list[dict[str, Any]] = [
    {"users": ["admin"], "repositories": ["**"], "actions": ["pull", "push", "delete", "admin"]},
    {"users": ["ci"], "repositories": ["**"], "actions": ["pull", "push"]},
    {"users": ["gc"], "repositories": [], "actions": ["gc", "usage"]},
]


@contextmanager
def serving(folder: Path, *, is_open: bool) -> Iterator[Server]:
    (folder / "users").write_text(htpasswd(admin="a", ci="c", gc="g"))
    auth = {"auth": {"htpasswdFile": str(folder / "users")}, "access": {"rules": RULES}}
    login = None if is_open else "admin:a"
    with running(folder, config={} if is_open else auth, login=login) as server:
        yield server


@pytest.mark.parametrize("is_open", [True, False], ids=["open", "with users"])
def test_all_checks_of_schemathesis_pass(tmp_path: Path, is_open: bool) -> None:
    """Every check is on, ignored authentication among them; what is sent is the same each time."""
    report = tmp_path / "report.json"
    with serving(tmp_path, is_open=is_open) as server:
        server.push_image("team/app", "v1")
        server.ask("DELETE", "/v2/team/app/manifests/v1")  # the example of `undelete`
        program = Path(sys.executable).with_name("schemathesis")
        command: list[str | Path] = [program, "run", server.url + DESCRIPTION, "--checks", "all"]
        command += ["--max-examples", "15", "--generation-deterministic", "--continue-on-failure"]
        command += ["--report-json-path", report, "--no-color"]
        command += [] if is_open else ["--auth", str(server.login)]
        ran = subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=280
        )
        assert ran.returncode == 0, ran.stdout[-5000:] + ran.stderr[-2000:]
        assert server.ask("GET", "/readyz", login=None).status == 200
    found = json.loads(report.read_text())
    others = [one for one in openapi.OPERATIONS if one.path != "openapi.json"]  # it asks for that
    assert found["operations"]["tested"] == len(others)
    assert {name: told for name, told in found["warnings"].items() if told} == {}


def test_the_description_is_served_to_whoever_may_see_the_usage(tmp_path: Path) -> None:
    with serving(tmp_path, is_open=False) as server:
        for login, status in ((None, 401), ("ci:c", 403), ("gc:g", 200), ("admin:a", 200)):
            answer = server.ask("GET", DESCRIPTION, login=login)
            assert answer.status == status
        assert answer.json["openapi"] == "3.1.0"
        assert len(answer.json["paths"]) == len({one.path for one in openapi.OPERATIONS})
        assert answer.json["security"] == [{"users": []}]


@pytest.mark.parametrize(
    ("method", "path", "described", "body", "status"),
    [
        ("get", "gc/0123456789abcdef", "gc/{id}", None, 404),
        ("get", "deleted?repository=no/such", "deleted", None, 404),
        ("post", "undelete", "undelete", b'{"repository": "no/such", "reference": "v1"}', 404),
        *(("post", path, path, b"{", 400) for path in ("gc", "fsck", "undelete")),
        *(("post", path, path, b"x" * 5000, 413) for path in ("gc", "fsck", "undelete")),
    ],
)
def test_errors_that_schemathesis_does_not_provoke_are_described(  # noqa: PLR0913, PLR0917 - a table
    server: Server, method: str, path: str, described: str, body: bytes | None, status: int
) -> None:
    assert server.ask(method.upper(), f"/cais/v1/{path}", body).status == status
    description = server.ask("GET", DESCRIPTION).json
    assert str(status) in description["paths"][f"/cais/v1/{described}"][method]["responses"]


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", "usage", "GET, HEAD"),
        ("POST", "gc/123", "GET, HEAD"),
        ("GET", "undelete", "POST"),
        ("DELETE", "gc", "GET, HEAD, POST"),
    ],
)
def test_a_method_that_is_not_described_is_refused_with_those_that_are(
    server: Server, method: str, path: str, allowed: str
) -> None:
    answer = server.ask(method, f"/cais/v1/{path}", b"{}" if method == "POST" else None)
    assert (answer.status, answer["Allow"], answer.code) == (405, allowed, "UNSUPPORTED")
