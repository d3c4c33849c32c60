# SPDX-License-Identifier: Apache-2.0
"""Retention of a real server: rules in its file, the command, the admin API, a kill."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from support.registry import Server, htpasswd, running, wait_until

TIMES = {"garbageCollection": {"pushLease": "0s", "undeleteWindow": "24h"}}


def configure(folder: Path, *rules: Any, **more: Any) -> Path:
    """Write a configuration with some rules, for a server that reads it by itself."""
    path = folder / "cais.json"
    path.write_text(json.dumps({**TIMES, "retention": list(rules), **more}))
    return path


def command(server: Server, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "cais_registry", "gc", "--server", server.url]
    return subprocess.run(
        [*line, *map(str, arguments)], capture_output=True, text=True, check=False
    )


def tags(server: Server, repo: str = "apps/web") -> list[str]:
    found: list[str] = server.ask("GET", f"/v2/{repo}/tags/list").json["tags"]
    return found


def problems(server: Server) -> list[str]:
    found: list[str] = server.ask("GET", "/cais/v1/config").json["retention"]["problems"]
    return found


def test_rules_are_taken_live_tried_dry_and_then_applied(tmp_path: Path) -> None:
    config = configure(tmp_path)
    with running(tmp_path, "--config", config) as server:
        for tag in ("v1", "old", "new"):
            server.push_image("apps/web", tag, layer=tag.encode())
        server.push_image("tools", "old", layer=b"tool")
        assert command(server, "--wait").returncode == 0
        assert len(tags(server)) == 3
        configure(tmp_path, {"repositories": ["apps/**"], "keepTags": ["v*"], "keepLast": 1})

        def tried() -> str | None:
            ran = command(server, "--dry-run")
            assert ran.returncode == 0, ran.stderr
            return ran.stdout if "apps/web" in ran.stdout else None

        said = wait_until(tried, what="the rules are loaded")
        first, last = said.splitlines()
        assert first.startswith("would delete tag apps/web:old: retention[0]: pushed 20")
        assert first.endswith("matches none of keepTags, not one of the newest 1")
        assert "by retention 1 tags and 0 untagged manifests" in last
        lines = [
            json.loads(one)
            for one in command(server, "--dry-run", "-o", "json").stdout.splitlines()
        ]
        assert (lines[0]["repository"], lines[0]["reference"]) == ("apps/web", "old")
        assert (lines[1]["dryRun"], lines[1]["tagsDeleted"]) == (True, 1)
        assert len(tags(server)) == 3
        assert command(server, "--wait").returncode == 0
        assert tags(server) == ["new", "v1"]
        assert tags(server, "tools") == ["old"]
        run = server.ask("GET", "/cais/v1/gc").json["last"]
        done = server.ask("GET", f"/cais/v1/gc/{run['id']}/report").json["items"]
        assert done == [{**lines[0], "n": 1}]


def test_a_report_is_read_page_by_page(tmp_path: Path) -> None:
    config = configure(tmp_path, {"repositories": ["**"], "keepTags": ["v*"]})
    with running(tmp_path, "--config", config) as server:
        for number in range(5):
            server.push_image("apps/web", f"t{number}", layer=b"one")
        assert command(server, "--wait").returncode == 0
        run = server.ask("GET", "/cais/v1/gc").json["last"]
        path: str | None = f"/cais/v1/gc/{run['id']}/report?n=2"
        found: list[str] = []
        pages = 0
        while path is not None:
            answer = server.ask("GET", path)
            found += [item["reference"] for item in answer.json["items"]]
            link = answer["Link"]
            path = None if link is None else link[1 : link.index(">")]
            pages += 1
        assert found == ["t4", "t3", "t2", "t1", "t0"]
        assert pages == 3
        for query in ("n=x", "last=-1", "n=1&last=" + "9" * 30):
            refused = server.ask("GET", f"/cais/v1/gc/{run['id']}/report?{query}")
            assert (refused.status, refused.code) == (400, "PAGINATION_NUMBER_INVALID")
        assert server.ask("GET", "/cais/v1/gc/unknown/report").status == 404
        assert server.ask("POST", f"/cais/v1/gc/{run['id']}/report").status == 405


def test_the_report_is_for_those_who_may_collect(tmp_path: Path) -> None:
    (tmp_path / "users").write_text(htpasswd(collector="c", reader="r"))
    rules = [
        {"users": ["collector"], "repositories": [], "actions": ["gc"]},
        {"users": ["reader"], "repositories": ["**"], "actions": ["pull", "push", "delete"]},
    ]
    auth = {"htpasswdFile": str(tmp_path / "users")}
    config = configure(tmp_path, auth=auth, access={"rules": rules})
    with running(tmp_path, "--config", config, login="collector:c") as server:
        run = server.ask("POST", "/cais/v1/gc", b'{"dryRun": true}').json
        path = f"/cais/v1/gc/{run['id']}/report"
        assert server.ask("GET", path).json == {"items": []}
        assert server.ask("GET", path, login="reader:r").status == 403
        assert server.ask("GET", path, login=None).status == 401


@pytest.mark.parametrize(
    ("broken", "said", "left"),
    [
        ({"repositories": ["apps/**"], "keepLast": 1, "keepNewerThan": "30d"}, "30d", {"tools"}),
        ({"repositories": ["apps/["], "keepLast": 1}, "apps/[", set()),
    ],
)
def test_a_rule_that_cannot_be_read_keeps_everything_and_is_told(
    tmp_path: Path, broken: Any, said: str, left: set[str]
) -> None:
    config = configure(tmp_path, broken, {"repositories": ["**"], "keepTags": ["v*"]})
    with running(tmp_path, "--config", config) as server:
        for repo in ("apps/web", "tools"):
            server.push_image(repo, "main", layer=b"one")
        (problem,) = problems(server)
        assert problem.startswith("retention[0]")
        assert said in problem
        assert server.ask("GET", "/cais/v1/config").json["error"] is None
        wait_until(lambda: problem in server.log.read_text(), what="the log says so")
        assert command(server, "--wait").returncode == 0
        assert tags(server) == ["main"]
        assert tags(server, "tools") == ([] if "tools" in left else ["main"])
        configure(tmp_path, {"repositories": ["apps/**"], "keepTags": ["v*"]})
        wait_until(lambda: problems(server) == [], what="the mended file is loaded")
        assert command(server, "--wait").returncode == 0
        assert tags(server) == []


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_a_pull_keeps_a_tag_however_the_server_ends(tmp_path: Path, how: signal.Signals) -> None:
    """A stopped server writes down what it counted; a killed one makes everything count."""
    rule = {"repositories": ["**"], "keepPulledWithin": "3s"}
    config = configure(tmp_path, rule)
    with running(tmp_path, "--config", config) as server:
        server.push_image("apps/web", "used", layer=b"one")
        server.push_image("apps/web", "idle", layer=b"two")
        assert server.ask("GET", "/v2/apps/web/manifests/used").status == 200
        server.process.send_signal(how)
        server.process.wait(60)
    configure(tmp_path, {**rule, "keepPulledWithin": "720h"})
    with running(tmp_path, "--config", config) as server:
        assert command(server, "--wait").returncode == 0
        assert tags(server) == ["idle", "used"]
