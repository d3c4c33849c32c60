# SPDX-License-Identifier: Apache-2.0
"""The file system that most volumes have, really full: of bytes, of files, or by somebody else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from support.disks import ext4, last_byte_taken, last_file_taken
from support.registry import Answer, Server, digest_of, running, wait_until

MIB = 1 << 20
SOON = {"garbageCollection": {"pushLease": "24h", "undeleteWindow": "0s"}}
MOST = 3000  # pushes; every disk here takes fewer


@contextmanager
def served(folder: Path, **disk: int) -> Iterator[Server]:
    """A server on a small disk of its own; in the end its store has to be whole."""
    with ext4(folder / "data", **disk):
        with running(folder, config=SOON) as server:
            yield server
            bad = [line for line in server.lines() if line.get("status", 0) in {500, 502, 503, 504}]
            assert not bad
        assert not list((server.data / "uploads").iterdir())
        command = [sys.executable, "-m", "cais_registry", "fsck", "--data", str(server.data)]
        checked = subprocess.run(
            [*command, "--digests"], capture_output=True, text=True, check=False
        )
        assert (checked.returncode, "all is well" in checked.stdout) == (0, True), checked


def push(server: Server, content: bytes) -> Answer:
    path = f"/v2/app/blobs/uploads/?digest={digest_of(content)}"
    return server.ask("POST", path, body=content)


def fill(server: Server, *sizes: int) -> None:
    """Push layers of each size until the registry refuses one."""
    for size in sizes:
        answers = (push(server, os.urandom(size)) for _ in range(MOST))
        refused = next(answer for answer in answers if answer.status != 201)
        assert (refused.status, refused.code) == (507, "UNAVAILABLE")
        assert "disk is full" in refused.json["errors"][0]["message"]


def collect(server: Server) -> dict[str, Any]:
    path = server.ask("POST", "/cais/v1/gc", b"{}")["Location"] or ""

    def ended() -> Any:
        run = server.ask("GET", path).json
        return run if run["state"] != "Running" else None

    run: dict[str, Any] = wait_until(ended, what="garbage collection ends")
    return run


def check_reads(server: Server) -> None:
    """Everything that only reads goes on."""
    assert server.ask("GET", "/readyz").status == 200
    assert "big" in server.ask("GET", "/v2/app/tags/list").json["tags"]
    manifest = server.ask("GET", "/v2/app/manifests/big").json
    for layer in manifest["layers"]:
        content = server.ask("GET", f"/v2/app/blobs/{layer['digest']}").body
        assert digest_of(content) == layer["digest"]


def check_recovery(server: Server) -> None:
    """A deletion and a collection bring pushes back."""
    digest = server.ask("GET", "/v2/app/manifests/big")["Docker-Content-Digest"]
    assert server.ask("DELETE", f"/v2/app/manifests/{digest}").status == 202
    run = collect(server)  # the server may have made room by itself already
    assert run["state"] == "Succeeded", run
    assert push(server, os.urandom(MIB)).status == 201
    server.push_image("app", "again", os.urandom(MIB))


def test_a_disk_full_of_bytes_stops_pushes_and_nothing_else(tmp_path: Path) -> None:
    with served(tmp_path) as server:
        server.push_image("app", "big", os.urandom(20 * MIB))
        fill(server, 3 * MIB, MIB // 4, MIB // 32, 4096, 1)
        check_reads(server)
        check_recovery(server)


def test_a_body_that_never_ends_meets_the_end_of_the_disk(tmp_path: Path) -> None:
    piece = b"100000\r\n" + bytes(MIB) + b"\r\n"
    with served(tmp_path) as server:
        server.push_image("app", "big", os.urandom(20 * MIB))
        path = f"/v2/app/blobs/uploads/?digest={digest_of(b'')}"
        head = f"POST {path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        with server.socket() as client:
            client.sendall(head.encode())
            try:
                for _ in range(200):
                    client.sendall(piece)
            except OSError:
                pass  # the connection was closed on us, as it should be
            answer = client.recv(65536)
        assert answer.startswith(b"HTTP/1.1 507 ")
        assert b'"code": "UNAVAILABLE"' in answer
        check_reads(server)
        assert push(server, os.urandom(MIB)).status == 201  # nothing of it was left


def test_a_stream_that_does_not_fit_gives_its_room_back(tmp_path: Path) -> None:
    with served(tmp_path) as server:
        server.push_image("app", "big", os.urandom(20 * MIB))
        for _ in range(3):  # a client begins anew, and nothing of before is in its way
            upload = server.ask("POST", "/v2/app/blobs/uploads/")["Location"] or ""
            pieces = (bytes(MIB) for _ in range(60))
            answer = server.ask("PATCH", upload, pieces, chunked=True)
            assert (answer.status, answer.code) == (507, "UNAVAILABLE")
            assert server.ask("GET", upload).status == 404
        upload = server.ask("POST", "/v2/app/blobs/uploads/")["Location"] or ""
        assert server.ask("PATCH", upload, bytes(20 * MIB)).status == 202
        assert server.ask("DELETE", upload).status == 204


def test_a_disk_full_of_files_stops_pushes_and_nothing_else(tmp_path: Path) -> None:
    with served(tmp_path, inodes=512) as server:
        server.push_image("app", "big", os.urandom(MIB))
        for number in range(10):
            server.push_image("app", f"small-{number}", b"%d" % number)
        fill(server, 1)
        assert os.statvfs(server.data).f_favail > 16  # what a start needs, and more
        check_reads(server)
        assert server.stop() == 0
        with running(tmp_path, config=SOON) as again:  # there are files left for a start
            check_reads(again)
            for number in range(10):
                assert again.ask("DELETE", f"/v2/app/manifests/small-{number}").status == 202
            check_recovery(again)


@pytest.mark.parametrize("taken", [last_byte_taken, last_file_taken])
@pytest.mark.parametrize("dies", [False, True])
def test_when_somebody_else_takes_all_that_is_left_nothing_is_damaged(
    tmp_path: Path, taken: Callable[[Path], AbstractContextManager[None]], *, dies: bool
) -> None:
    with served(tmp_path) as server:
        server.push_image("app", "big", os.urandom(20 * MIB))
        server.push_image("app", "other", os.urandom(MIB))
        with taken(server.data), closing(server.connect()) as connection:
            assert push(server, b"more").status == 507
            connection.request("PUT", "/v2/app/manifests/new", b"{}")
            assert connection.getresponse().status in {400, 507}
            check_reads(server)
            assert server.ask("DELETE", "/v2/app/manifests/other").status in {202, 507}
            assert server.ask("POST", "/v2/app/blobs/uploads/").status in {202, 507}
            check_reads(server)
            if dies:
                server.process.send_signal(signal.SIGKILL)
                server.process.wait()
        if dies:
            with running(tmp_path, config=SOON) as again:
                check_reads(again)
                check_recovery(again)
        else:
            check_recovery(server)
