# SPDX-License-Identifier: Apache-2.0
"""`cais-registry import` of folders that real registries wrote."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from support.command import run_command
from support.distribution import BIN, PROGRAMS, crane, fill, registry
from support.layout import DOCKER, make_image
from support.registry import running, wait_until


def command(source: Path, data: Path) -> list[str]:
    arguments = ["import", "--from", str(source), "--data", str(data)]
    return [sys.executable, "-m", "cais_registry", *arguments]


def import_(source: Path, data: Path, *more: str) -> tuple[int, str, str]:
    ended = subprocess.run(
        [*command(source, data), *more], capture_output=True, text=True, check=False, timeout=120
    )
    return ended.returncode, ended.stdout, ended.stderr


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
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
        for path, kind in (("hello", DOCKER.image), ("deep/er/hello", DOCKER.index)):
            tag = "schema2" if kind == DOCKER.image else "list"
            answer = server.ask("GET", f"/v2/{path}/manifests/{tag}")
            assert answer["Content-Type"] == answer.json["mediaType"] == kind


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


def opened(fifo: Path) -> bool:
    """Let whoever waits for its bytes read that there are none."""
    with suppress(OSError):  # nobody waits
        os.close(os.open(fifo, os.O_WRONLY | os.O_NONBLOCK))
    return True


@pytest.mark.parametrize(("how", "code"), [(signal.SIGKILL, -9), (signal.SIGINT, 130)])
def test_an_import_that_was_cut_off_goes_on(tmp_path: Path, how: int, code: int) -> None:
    old, data = tmp_path / "old", tmp_path / "data"
    with registry(PROGRAMS["3"], old) as host:
        pushed = fill(host, tmp_path)
        for number in range(10):
            target = f"{host}/many/{number}:v1"
            crane("mutate", f"{host}/hello:v1", "--tag", target, "--label", f"n={number}")
        config = json.loads(crane("manifest", f"{host}/many/9:v1"))["config"]["digest"]
    (slow,) = old.rglob(f"{config.partition(':')[2]}/data")
    content = slow.read_bytes()
    slow.unlink()
    os.mkfifo(slow)  # of the last repository: whoever opens it waits
    terminal, stderr = pty.openpty()
    process = subprocess.Popen(command(old, data), stderr=stderr)
    os.close(stderr)
    wait_until(lambda: any(map(Path.is_fifo, data.glob("uploads/*"))), what="it is at the last")
    assert re.match(rb"\r\d+ s, \d+ repositories: .* blobs linked", os.read(terminal, 4096))
    os.kill(process.pid, how)
    wait_until(lambda: opened(slow) and process.poll() is not None, what="its threads have ended")
    assert process.wait() == code
    os.close(terminal)
    assert how == signal.SIGKILL or not any((data / "uploads").iterdir())
    slow.unlink()
    slow.write_bytes(content)
    assert import_(old, data)[0] == 0
    with running(tmp_path) as server:
        host = "{}:{}".format(*server.address)
        for reference, digest in pushed.items():
            assert crane("digest", f"{host}/{reference}") == digest
        for number in range(10):
            crane("validate", "--remote", f"{host}/many/{number}:v1")


def test_what_cannot_be_imported_ends_with_2_in_one_line(tmp_path: Path) -> None:
    def refused(source: Path, data: Path) -> tuple[int, str, str]:
        return run_command("import", "--from", str(source), "--data", str(data))

    with running(tmp_path) as server:
        (tmp_path / "old/docker/registry/v2/blobs").mkdir(parents=True)
        (tmp_path / "old/docker/registry/v2/repositories").mkdir()
        busy = refused(tmp_path / "old", server.data)
    for (code, out, err), says in (
        (busy, "in use by another server"),
        (refused(tmp_path, tmp_path / "new"), "is not the folder of a registry"),
        (refused(tmp_path / "none", tmp_path / "new"), "is not the folder of a registry"),
    ):
        assert (code, out) == (2, "")
        (line,) = err.splitlines()
        assert says in line
    assert not (tmp_path / "new").exists()
