# SPDX-License-Identifier: Apache-2.0
"""`cais-registry import` of folders that real registries wrote."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import programs
from support.layout import make_image, make_index
from support.registry import DEADLINE, running, wait_until

BIN = programs.cache_folder() / "bin"
_CONFIG = """\
version: 0.1
log: {{level: error}}
storage: {{filesystem: {{rootdirectory: {folder}}}, delete: {{enabled: true}}}}
http: {{addr: "127.0.0.1:{port}"}}
"""


@contextmanager
def registry(program: Path, folder: Path) -> Iterator[str]:
    """Run another registry over a folder; yields host and port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    config = folder.with_suffix(".yml")
    config.write_text(_CONFIG.format(folder=folder, port=port))
    with folder.with_suffix(".log").open("wb") as log:
        process = subprocess.Popen([program, "serve", config], stdout=log, stderr=log)
    try:
        wait_until(lambda: _answers(port), what="the other registry answers")
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(DEADLINE)


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/v2/") as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def crane(*arguments: str | Path) -> str:
    ended = subprocess.run(
        [BIN / "crane", *arguments, "--insecure"],
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
    )
    return ended.stdout.strip()


def command(source: Path, data: Path) -> list[str]:
    arguments = ["import", "--from", str(source), "--data", str(data)]
    return [sys.executable, "-m", "cais_registry", *arguments]


def import_(source: Path, data: Path, *more: str) -> tuple[int, str, str]:
    ended = subprocess.run(
        [*command(source, data), *more], capture_output=True, text=True, check=False, timeout=120
    )
    return ended.returncode, ended.stdout, ended.stderr


def fill(host: str, folder: Path) -> dict[str, str]:
    """Push some images; returns digests by reference."""
    make_image(folder / "image", "hello", layers=3)
    make_index(folder / "index", "hello")
    found = {}
    for layout, reference in (
        ("image", "hello:v1"),
        ("image", "deep/er/hello:v1"),
        ("index", "deep/er/hello:all"),
    ):
        crane("push", folder / layout, f"{host}/{reference}")
        found[reference] = crane("digest", f"{host}/{reference}")
    crane("mutate", f"{host}/hello:v1", "--tag", f"{host}/hello:v2", "--label", "a=b")
    found["hello:v2"] = crane("digest", f"{host}/hello:v2")
    return found


@pytest.mark.parametrize(
    "program", [Path("/usr/bin/docker-registry"), BIN / "distribution"], ids=["2.8", "3"]
)
def test_a_registry_is_taken_over(tmp_path: Path, program: Path) -> None:
    old = tmp_path / "old"
    with registry(program, old) as host:
        pushed = fill(host, tmp_path)
    code, out, _ = import_(old, tmp_path / "data", "-o", "json")
    report = json.loads(out)
    assert (code, report["repositories"], report["tags"]) == (0, 2, len(pushed))
    assert (report["failed"], report["blobsCopied"]) == (0, 0)
    with running(tmp_path) as server:
        host = "{}:{}".format(*server.address)
        for reference, digest in pushed.items():
            assert crane("digest", f"{host}/{reference}") == digest
            crane("validate", "--remote", f"{host}/{reference}")


def test_referrers_come_along_also_where_a_client_lists_them_under_a_tag(tmp_path: Path) -> None:
    old, digest = tmp_path / "old", make_image(tmp_path / "image", "hello")
    (tmp_path / "sbom").write_text("{}")
    kind = "application/vnd.example.sbom+json"
    with registry(BIN / "distribution", old) as host:
        crane("push", tmp_path / "image", f"{host}/hello:v1")
        attach = ("attach", "--plain-http", "--artifact-type", kind, f"{host}/hello:v1")
        subprocess.run(
            [BIN / "oras", *attach, "sbom:text/plain"], cwd=tmp_path, check=True, timeout=120
        )
        assert digest.replace(":", "-") in crane("ls", f"{host}/hello")
    assert import_(old, tmp_path / "data")[0] == 0
    with running(tmp_path) as server:
        (found,) = server.ask("GET", f"/v2/hello/referrers/{digest}").json["manifests"]
        assert found["artifactType"] == kind


def test_an_import_that_was_killed_goes_on(tmp_path: Path) -> None:
    old, data = tmp_path / "old", tmp_path / "data"
    with registry(BIN / "distribution", old) as host:
        pushed = fill(host, tmp_path)
        for number in range(20):
            target = f"{host}/many/{number}:v1"
            crane("mutate", f"{host}/hello:v1", "--tag", target, "--label", f"n={number}")
    process = subprocess.Popen(command(old, data))
    wait_until(lambda: any((data / "blobs").glob("*/*/*/*")), what="the import has begun")
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    code, _, _ = import_(old, data)
    assert code == 0
    with running(tmp_path) as server:
        host = "{}:{}".format(*server.address)
        for reference, digest in pushed.items():
            assert crane("digest", f"{host}/{reference}") == digest
        for number in range(20):
            crane("validate", "--remote", f"{host}/many/{number}:v1")


def test_what_cannot_be_imported_ends_with_2_in_one_line(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        (tmp_path / "old/docker/registry/v2/blobs").mkdir(parents=True)
        (tmp_path / "old/docker/registry/v2/repositories").mkdir()
        busy = import_(tmp_path / "old", server.data)
    for (code, out, err), says in (
        (busy, "in use by another server"),
        (import_(tmp_path, tmp_path / "new"), "is not the folder of a registry"),
        (import_(tmp_path / "none", tmp_path / "new"), "is not the folder of a registry"),
    ):
        assert (code, out) == (2, "")
        (line,) = err.splitlines()
        assert says in line
    assert not (tmp_path / "new").exists()
