# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from support.registry import OCI_IMAGE, Server, digest_of, htpasswd, running, wait_until

RULES: list[dict[str, Any]] = [
    {"users": ["admin"], "repositories": ["**"], "actions": ["pull", "push", "delete", "admin"]},
    {"users": ["ci"], "repositories": ["apps/**"], "actions": ["pull", "push"]},
]


@contextmanager
def audited(folder: Path, **log: Any) -> Iterator[Server]:
    (folder / "users").write_text(htpasswd(admin="a", ci="c"))
    config = {
        "auth": {"htpasswdFile": str(folder / "users")},
        "access": {"rules": RULES},
        "log": log,
    }
    with running(folder, config=config, login="admin:a") as server:
        yield server


def audit(server: Server) -> list[dict[str, Any]]:
    """The audit lines of all that was answered before."""
    server.ask("GET", "/v2/", headers={"User-Agent": "last"})

    def is_there() -> bool:
        return any(line.get("user_agent") == "last" for line in server.lines())

    wait_until(is_there, what="the last request is logged")
    return [line for line in server.lines() if line["logger"] == "cais.audit"]


def events(server: Server) -> list[tuple[str, str]]:
    return [(line["event"], line["outcome"]) for line in audit(server)]


def test_a_push_a_move_of_a_tag_and_a_deletion_are_told(tmp_path: Path) -> None:
    with audited(tmp_path) as server:
        first = server.push_image("apps/x", "v1")
        second = server.push_image("apps/x", "v1", layer=b"other")
        server.push_image("apps/x", "v1", layer=b"other")  # a tag that stays where it is
        server.ask("POST", f"/v2/apps/y/blobs/uploads/?mount={digest_of(b'layer')}&from=apps/x")
        server.ask("DELETE", "/v2/apps/x/manifests/v1")
        server.ask("DELETE", f"/v2/apps/x/manifests/{first}")
        server.ask("DELETE", f"/v2/apps/y/blobs/{digest_of(b'layer')}")
        lines = audit(server)
    pushed = ["blob.push", "blob.push", "manifest.push"]
    assert [line["event"] for line in lines] == [
        *(*pushed, "tag.create"),
        *(*pushed, "tag.move"),
        *pushed,
        *("blob.mount", "tag.delete", "manifest.delete", "blob.delete"),
    ]
    for line in lines:
        assert line["time"].endswith("Z")
        assert (line["outcome"], line["user"], line["client"]) == ("success", "admin", "127.0.0.1")
    moved, mounted, untagged, deleted = lines[7], lines[11], lines[12], lines[13]
    assert (moved["reference"], moved["digest"]) == ("v1", second)
    assert moved["previous_digest"] == first
    assert (mounted["repository"], mounted["source"]) == ("apps/y", "apps/x")
    assert (untagged["reference"], untagged["digest"]) == ("v1", second)
    assert (deleted["reference"], deleted["digest"]) == (first, first)


def test_the_tags_that_go_with_a_manifest_are_told(tmp_path: Path) -> None:
    with audited(tmp_path) as server:
        digest = server.push_image("apps/x", "v1")
        server.push_image("apps/x", "latest")
        server.ask("DELETE", f"/v2/apps/x/manifests/{digest}")
        line = audit(server)[-1]
    assert (line["event"], line["tags"]) == ("manifest.delete", ["latest", "v1"])


def test_refusals_and_failed_logins_are_told_without_a_secret(tmp_path: Path) -> None:
    with audited(tmp_path) as server:
        server.ask("GET", "/v2/", login=None)  # how clients begin: not worth a line
        server.ask("GET", "/v2/apps/x/manifests/v1", login=None)
        server.ask("POST", "/v2/apps/x/blobs/uploads/", login=None)
        server.ask("POST", "/v2/other/blobs/uploads/", login="ci:c")
        server.ask("GET", "/cais/v1/config", login="ci:c")
        server.ask("GET", "/v2/", login="ci:very-wrong-password")
        server.ask("GET", "/v2/", login="password-typed-as-a-name:x")
        server.ask("GET", "/v2/", headers={"Authorization": "Bearer very-secret"}, login=None)
        lines = audit(server)
        text = server.log.read_text()
    assert [(line["event"], line.get("user"), line["status"]) for line in lines] == [
        ("blob.push", None, 401),
        ("blob.push", "ci", 403),
        ("admin.config", "ci", 403),
        ("login", "ci", 401),
        ("login", None, 401),
        ("login", None, 401),
    ]
    assert {line["outcome"] for line in lines} == {"refused"}
    for secret in ("very-wrong-password", "password-typed-as-a-name", "very-secret"):
        assert secret not in text


def test_what_an_administrator_starts_is_told(tmp_path: Path) -> None:
    with audited(tmp_path) as server:
        run = server.ask("POST", "/cais/v1/gc", json.dumps({"dryRun": True})).json
        server.ask("POST", "/cais/v1/fsck", json.dumps({"repair": True}))
        digest = server.push_image("apps/x", "v1")
        server.ask("DELETE", "/v2/apps/x/manifests/v1")
        what = {"repository": "apps/x", "reference": "v1"}
        assert server.ask("POST", "/cais/v1/undelete", json.dumps(what)).status == 200
        collected, checked, *_, restored = audit(server)
    assert (collected["event"], collected["reference"]) == ("admin.gc", run["id"])
    assert collected["options"] == {"dryRun": True}
    assert (checked["event"], checked["options"]) == (
        "admin.fsck",
        {"repair": True, "digests": False},
    )
    assert restored["event"] == "admin.undelete"
    assert (restored["repository"], restored["reference"]) == ("apps/x", "v1")
    assert (restored["digest"], restored["tags"]) == (digest, ["v1"])


def test_a_request_cannot_write_into_the_log(tmp_path: Path) -> None:
    """Names that reach a line were parsed; what was not is no act."""
    with audited(tmp_path) as server:
        for path in ("/v2/a%0A%7B%22/manifests/v1", "/v2/a/manifests/v1%0Aevil"):
            answer = server.ask(
                "PUT", path, b"{}", {"Content-Type": OCI_IMAGE, "X-Request-Id": "{"}
            )
            assert answer.status == 400
        assert audit(server) == []


def test_pulls_are_told_when_that_is_asked_for(tmp_path: Path) -> None:
    with audited(tmp_path, auditPulls=True) as server:
        digest = server.push_image("apps/x", "v1")
        server.ask("GET", "/v2/apps/x/manifests/v1", login="ci:c")
        server.ask("GET", f"/v2/apps/x/blobs/{digest_of(b'layer')}", login="ci:c")
        manifest, blob = audit(server)[-2:]
    assert (manifest["event"], manifest["user"], manifest["digest"]) == (
        "manifest.pull",
        "ci",
        digest,
    )
    assert (blob["event"], blob["digest"]) == ("blob.pull", digest_of(b"layer"))


def test_pulls_are_not_told_by_default_and_nothing_is_where_it_is_switched_off(
    tmp_path: Path,
) -> None:
    for name, log, told in (("on", {}, True), ("off", {"audit": False}, False)):
        (tmp_path / name).mkdir()
        with audited(tmp_path / name, **log) as server:
            server.push_image("apps/x", "v1")
            server.ask("GET", "/v2/apps/x/manifests/v1")
            server.ask("GET", "/v2/", login="ci:wrong")
            found = events(server)
        assert (("login", "refused") in found) is told
        assert not [event for event, _ in found if event.endswith(".pull")]
