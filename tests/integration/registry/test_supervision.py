# SPDX-License-Identifier: Apache-2.0
"""Parent, worker, lock, start and end."""

from __future__ import annotations

import os
import re
import signal
import socket
from pathlib import Path

import pytest

from support.powerloss import power_loss_disk
from support.registry import DEADLINE, Server, digest_of, is_alive, running, start, wait_until


def refusal(server: Server) -> list[str]:
    """Wait for a server that does not start; return the lines it says so with."""
    assert server.process.wait(DEADLINE) != 0
    return server.log.read_text().splitlines()


def locks_of(data: Path) -> list[int]:
    """Processes that have the lock's file open."""
    found = []
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if os.readlink(link) == str(data / "lock"):  # noqa: PTH115 - not a path
                found.append(int(link.parts[2]))
        except OSError:
            continue
    return found


def test_parent_and_worker_hold_the_lock(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        assert set(locks_of(server.data)) == {server.process.pid, *server.workers}


def test_a_worker_dies_with_its_parent(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        (worker,) = server.workers
        server.process.kill()
        server.process.wait(DEADLINE)
        wait_until(lambda: not is_alive(worker), what="the worker ends")
        wait_until(lambda: not locks_of(server.data), what="the lock is free")


def test_a_second_server_on_the_same_data_is_refused_in_one_line(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        other = tmp_path / "other"
        other.mkdir()
        (line,) = refusal(start(other, "--data", server.data))
        assert line.startswith("cais-registry: ")
        assert str(server.data) in line
        since = r"since \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"
        who = rf"process {server.process.pid} on host {socket.gethostname()}, {since}"
        assert re.search(rf"in use by another server \({who}\): stop that one first$", line)
        assert server.ask("GET", "/v2/").status == 200


def test_data_on_a_network_file_system_are_refused_in_one_line(tmp_path: Path) -> None:
    with power_loss_disk(tmp_path, "sshfs") as disk:
        disk.power_on()
        server = start(tmp_path, data=disk.folder)
        (line,) = refusal(server)
        assert server.process.returncode == 1
        assert f"{disk.folder} is on a network file system (fuse.sshfs)" in line
        assert not any(disk.folder.iterdir())


def test_data_on_an_unknown_file_system_are_served_when_somebody_vouches_for_it(
    tmp_path: Path,
) -> None:
    with power_loss_disk(tmp_path, "unheard-of") as disk:
        disk.power_on()
        (line,) = refusal(start(tmp_path, data=disk.folder))
        assert f"write fuse.unheard-of into {disk.folder}/allowed-filesystem" in line
        (disk.folder / "allowed-filesystem").write_text("fuse.unheard-of\n")
        with running(tmp_path, data=disk.folder) as server:
            server.push_blob("a", b"content")


def test_a_killed_worker_is_replaced_and_nothing_is_lost(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        digest = server.push_blob("a", b"kept")
        (worker,) = server.workers
        os.kill(worker, signal.SIGKILL)
        wait_until(lambda: server.workers not in ([], [worker]), what="a new worker")
        assert server.ask("GET", f"/v2/a/blobs/{digest}").body == b"kept"


def test_everything_is_there_after_a_restart(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        digest = server.push_image("a", "v1", layer=b"first")
        assert server.stop() == 0
    with running(tmp_path) as server:
        assert server.ask("GET", "/v2/a/manifests/v1")["Docker-Content-Digest"] == digest
        assert server.ask("GET", f"/v2/a/blobs/{digest_of(b'first')}").body == b"first"


def test_a_request_that_runs_is_ended_before_the_server_stops(tmp_path: Path) -> None:
    content = b"x" * 8_000_000
    with running(tmp_path) as server:
        digest = server.push_blob("a", content)
        connection = server.connect()
        connection.request("GET", f"/v2/a/blobs/{digest}")
        answer = connection.getresponse()
        first = answer.read(1000)
        server.process.send_signal(signal.SIGTERM)
        assert first + answer.read() == content
        connection.close()
        assert server.process.wait(DEADLINE) == 0


def test_a_client_that_never_ends_cannot_keep_the_server_from_stopping(tmp_path: Path) -> None:
    config = {"timeouts": {"drain": "1s"}}
    with running(tmp_path, config=config) as server, server.socket() as client:
        client.sendall(
            b"POST /v2/a/blobs/uploads/?digest=sha256:" + b"0" * 64 + b" HTTP/1.1\r\nHost: x\r\n"
            b"Content-Length: 1000\r\n\r\nabc"
        )
        wait_until(lambda: any((server.data / "uploads").iterdir()), what="the upload has begun")
        server.stop()
        assert not any(map(is_alive, server.workers))


def test_a_port_in_use_is_refused_and_nothing_is_touched(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        server = start(tmp_path, "--listen", f"127.0.0.1:{port}")
        (line,) = refusal(server)
    assert server.process.returncode == 2
    assert f"listen: 127.0.0.1:{port}" in line
    assert not server.data.exists()


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["--listen", "nowhere"], "listen: 'nowhere'"),
        (["--htpasswd", "missing"], "auth.htpasswdFile"),
        (["--config", "missing"], "--config"),
        (["--tls-cert", "a"], "--tls-key"),
        (["--tls-cert", "a", "--tls-key", "b"], "tls.certFile"),
    ],
)
def test_a_bad_setting_is_named_in_one_line_and_nothing_is_touched(
    tmp_path: Path, arguments: list[str], names: str
) -> None:
    server = start(tmp_path, *arguments)
    (line,) = refusal(server)
    assert server.process.returncode == 2
    assert names in line
    assert not server.data.exists()


def test_a_file_in_place_of_the_data_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("not a folder")
    server = start(tmp_path)
    (line,) = refusal(server)
    assert str(server.data) in line
    assert server.process.returncode == 1


def test_a_database_that_cannot_be_used_stops_the_server_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "metadata.sqlite3").write_bytes(b"this is no database " * 100)
    server = start(tmp_path)
    lines = refusal(server)
    assert server.process.returncode == 1
    assert any("metadata.sqlite3" in line for line in lines)


def test_interrupting_from_a_terminal_stops_parent_and_worker(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        workers = server.workers
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(DEADLINE) == 0
        assert not any(map(is_alive, workers))
