# SPDX-License-Identifier: Apache-2.0
"""`cais-registry import --from URL`, from registries that people run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from support.command import run_command
from support.distribution import PROGRAMS, crane, fill, registry
from support.registry import (
    OCI_IMAGE,
    OCI_INDEX,
    Server,
    digest_of,
    htpasswd,
    make_certificate,
    running,
    wait_until,
)

DOCKER_IMAGE = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"


def command(url: str, data: Path, *more: str | Path) -> list[str]:
    arguments = ["import", "--from", url, "--data", str(data), *map(str, more)]
    return [sys.executable, "-m", "cais_registry", *arguments]


def import_(url: str, data: Path, *more: str | Path) -> tuple[int, str, str]:
    ended = subprocess.run(
        command(url, data, *more), capture_output=True, text=True, check=False, timeout=120
    )
    return ended.returncode, ended.stdout, ended.stderr


def fsck(data: Path) -> int:
    arguments = ["fsck", "--data", str(data), "--digests"]
    return subprocess.run(
        [sys.executable, "-m", "cais_registry", *arguments], check=False, timeout=120
    ).returncode


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_a_running_distribution_is_copied_once(tmp_path: Path, program: Path) -> None:
    data = tmp_path / "data"
    with registry(program, tmp_path / "old") as host:
        pushed = fill(host, tmp_path)
        code, out, err = import_(f"http://{host}", data, "-o", "json")
        assert (code, err) == (0, "")
        report = json.loads(out)
        assert (report["repositories"], report["tags"]) == (2, len(pushed))
        assert (report["failed"], report["bytes"]) == (0, report["received"])
        again = json.loads(import_(f"http://{host}", data, "-o", "json")[1])
        assert (again["received"], again["manifests"], again["tags"]) == (0, 0, 0)
    assert fsck(data) == 0
    with running(tmp_path) as server:
        host = "{}:{}".format(*server.address)
        for reference, digest in pushed.items():
            assert crane("digest", f"{host}/{reference}") == digest
            crane("validate", "--remote", f"{host}/{reference}")


def test_an_import_that_was_killed_goes_on_with_what_is_missing(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with registry(PROGRAMS["3"], tmp_path / "old") as host:
        pushed = fill(host, tmp_path)
        for number in range(20):
            target = f"{host}/many/{number}:v1"
            crane("mutate", f"{host}/hello:v1", "--tag", target, "--label", f"n={number}")
        process = subprocess.Popen(command(f"http://{host}", data))
        wait_until(lambda: any((data / "manifests").glob("*/*/*/*")), what="it has begun")
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        code, out, _ = import_(f"http://{host}", data, "-o", "json")
        assert (code, json.loads(out)["failed"]) == (0, 0)
        assert json.loads(out)["present"] > 0
    assert fsck(data) == 0
    with running(tmp_path) as server:
        host = "{}:{}".format(*server.address)
        for reference, digest in pushed.items():
            assert crane("digest", f"{host}/{reference}") == digest


def push_every_kind(server: Server) -> dict[str, tuple[str, bytes]]:
    """Fill our own server; returns what can be pulled, by path."""
    pushed: dict[str, tuple[str, bytes]] = {}

    def put(reference: str, media_type: str, document: object) -> dict[str, object]:
        content = json.dumps(document).encode()
        path, kind = f"/v2/team/app/manifests/{reference}", {"Content-Type": media_type}
        answer = server.ask("PUT", path, content, kind)
        assert answer.status == 201, answer.body
        digest = answer["Docker-Content-Digest"]
        pushed[f"/v2/team/app/manifests/{digest}"] = (media_type, content)
        return {"mediaType": media_type, "digest": digest, "size": len(content)}

    def image(name: str, media_type: str | None = OCI_IMAGE, **more: object) -> dict[str, object]:
        blob = name.encode()
        part = {"mediaType": "text/plain", "size": len(blob)}
        part["digest"] = server.push_blob("team/app", blob)
        kind = {} if media_type is None else {"mediaType": media_type}
        return {"schemaVersion": 2, **kind, "config": part, "layers": [part], **more}

    def by_digest(
        media_type: str, document: object, algorithm: str = "sha256"
    ) -> dict[str, object]:
        return put(digest_of(json.dumps(document).encode(), algorithm), media_type, document)

    one, two = by_digest(OCI_IMAGE, image("one")), by_digest(OCI_IMAGE, image("two"))
    inner = by_digest(
        OCI_INDEX, {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [one, two]}
    )
    put("nested", OCI_INDEX, {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [inner]})
    docker = by_digest(DOCKER_IMAGE, image("docker", DOCKER_IMAGE))
    put("list", DOCKER_LIST, {"schemaVersion": 2, "mediaType": DOCKER_LIST, "manifests": [docker]})
    signature = by_digest(OCI_IMAGE, image("signature", subject=one, artifactType="test/sig"))
    by_digest(OCI_IMAGE, image("about it", subject=signature, artifactType="test/note"))
    put("untyped", OCI_IMAGE, image("untyped", None))
    strong = by_digest(OCI_IMAGE, image("strong"), "sha512")
    put("strong", OCI_INDEX, {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [strong]})
    return pushed


def test_every_kind_of_manifest_comes_from_a_server_with_login_and_tls(tmp_path: Path) -> None:
    cert, key = make_certificate(tmp_path)
    (tmp_path / "users").write_text(htpasswd(root="r"))
    (tmp_path / "login").write_text("root:r\n")
    (tmp_path / "wrong").write_text("root:x\n")
    arguments = ("--tls-cert", cert, "--tls-key", key, "--htpasswd", tmp_path / "users")
    trusted = ("--ca-file", cert)
    with running(tmp_path, *arguments, login="root:r") as server:
        pushed = push_every_kind(server)
        data = tmp_path / "new" / "data"
        for more, says in (
            ((), "does not let in: 401 UNAUTHORIZED"),
            (("--credentials-file", tmp_path / "wrong"), "does not let in: 401 UNAUTHORIZED"),
        ):
            code, out, err = import_(server.url, data, *trusted, *more)
            assert (code, out) == (2, "")
            assert says in err
        login = ("--credentials-file", tmp_path / "login")
        code, _, err = import_(server.url, data, *login)
        assert (code, "CERTIFICATE_VERIFY_FAILED" in err) == (2, True)
        code, out, _ = import_(server.url, data, *trusted, *login, "--repository", "team/app")
        assert code == 0, out
        code, out, _ = import_(server.url, data, *trusted, *login, "--repository", "team/none")
        assert (code, "there is no such repository" in out) == (1, True)
    assert fsck(data) == 0
    with running(tmp_path / "new") as server:
        for path, (media_type, content) in pushed.items():
            answer = server.ask("GET", path)
            assert (answer.status, answer.body, answer["Content-Type"]) == (
                200, content, media_type
            )  # fmt: skip
        tags = server.ask("GET", "/v2/team/app/tags/list").json["tags"]
        assert tags == ["list", "nested", "strong", "untyped"]


def test_what_cannot_be_asked_ends_with_2_in_one_line(tmp_path: Path) -> None:
    def refused(url: str, *more: str) -> tuple[int, str, str]:
        return run_command("import", "--from", url, "--data", str(tmp_path / "data"), *more)

    for (code, out, err), says in (
        (refused("http://127.0.0.1:1"), "cannot be asked"),
        (refused("https://me:secret@e.example"), "no password in a URL"),
        (refused("https://e.example/team/app"), "name the host only"),
        (refused("https://"), "is not the URL of a registry"),
        (refused("http://127.0.0.1:1", "--repository", "UPPER"), "'UPPER' is not allowed"),
        (refused("http://127.0.0.1:1", "--ca-file", str(tmp_path)), "--ca-file"),
        (refused(str(tmp_path), "--repository", "a"), "go with --from URL only"),
    ):
        assert (code, out) == (2, ""), err
        (line,) = err.splitlines()
        assert says in line
        assert "secret" not in line
