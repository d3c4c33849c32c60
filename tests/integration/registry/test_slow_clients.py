# SPDX-License-Identifier: Apache-2.0
"""Clients that hardly send or hardly take: they are ended, and nobody else notices."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from support.bystander import bystander
from support.registry import Server, digest_of, running, wait_until

MIB = 1 << 20
READERS = 60
SLOWEST = 20_000  # bytes a second
HURRIED = {
    "timeouts": {"idle": "2s", "stalled": "2s"},
    "limits": {"slowestBytesPerSecond": SLOWEST},
}


@pytest.fixture(scope="module")
def hurried(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with little patience."""
    with running(tmp_path_factory.mktemp("hurried"), config=HURRIED) as server:
        yield server


@contextmanager
def trickle(client: socket.socket, piece: bytes, pause: float) -> Iterator[None]:
    """Send a piece again and again, until the other side has ended the connection."""
    stop = threading.Event()

    def send() -> None:
        try:
            while not stop.wait(pause):
                client.sendall(piece)
        except OSError:
            return  # ended, as it should be

    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def answer_of(client: socket.socket) -> bytes:
    """Everything until the end of the connection."""
    received = b""
    try:
        while piece := client.recv(65536):
            received += piece
    except ConnectionError:
        pass
    return received


@pytest.mark.parametrize("piece", [b"", b"x"], ids=["silence", "trickle"])
def test_a_body_that_hardly_comes_is_ended_and_what_came_is_kept(
    hurried: Server, repo: str, piece: bytes
) -> None:
    location = hurried.ask("POST", f"/v2/{repo}/blobs/uploads/")["Location"]
    head = f"PATCH {location} HTTP/1.1\r\nHost: x\r\nContent-Length: 5000000\r\n\r\n"
    with bystander(hurried), hurried.socket() as client:
        client.sendall(head.encode() + b"first")
        with trickle(client, piece, 0.05):
            answer = answer_of(client)
    assert answer.startswith(b"HTTP/1.1 408 "), answer
    assert b'"code": "BLOB_UPLOAD_INVALID"' in answer
    begin = int((hurried.ask("GET", str(location))["Range"] or "").removeprefix("0-")) + 1
    assert begin >= 5
    rest = hurried.ask("PATCH", str(location), b"rest", {"Content-Range": f"{begin}-{begin + 3}"})
    assert rest.status == 202


@pytest.mark.parametrize("path", ["manifests/v1", f"blobs/uploads/?digest={digest_of(b'x')}"])
def test_chunks_that_never_end_leave_nothing(hurried: Server, repo: str, path: str) -> None:
    method = "PUT" if path.startswith("manifests") else "POST"
    head = f"{method} /v2/{repo}/{path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    before = set((hurried.data / "uploads").iterdir())
    with hurried.socket() as client:
        client.sendall(head.encode())
        with trickle(client, b"1\r\nx\r\n", 0.05):
            assert b" 408 " in answer_of(client)
    assert set((hurried.data / "uploads").iterdir()) == before


def test_a_slow_body_that_keeps_to_the_least_speed_is_taken(hurried: Server, repo: str) -> None:
    content, sent, pause = os.urandom(40 * 5000), 0, threading.Event()
    path = f"/v2/{repo}/blobs/uploads/?digest={digest_of(content)}"
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(content)}\r\n\r\n"
    with hurried.socket() as client:
        client.sendall(head.encode())
        while sent < len(content):  # 50,000 bytes a second, for longer than the patience
            client.sendall(content[sent : sent + 5000])
            sent += 5000
            pause.wait(0.1)
        assert client.recv(65536).startswith(b"HTTP/1.1 201 ")


def test_headers_without_end_are_ended(hurried: Server) -> None:
    with bystander(hurried), hurried.socket() as client:
        client.sendall(b"GET /v2/ HTTP/1.1\r\nHost: x\r\n")
        with trickle(client, b"X: y\r\n", 0.1):
            assert b" 200 " not in answer_of(client)


def test_more_bytes_than_declared_are_no_part_of_the_body(hurried: Server, repo: str) -> None:
    digest = digest_of(b"abc")
    head = f"POST /v2/{repo}/blobs/uploads/?digest={digest} HTTP/1.1\r\nHost: x\r\n"
    with hurried.socket() as client:
        client.sendall(head.encode() + b"Content-Length: 3\r\n\r\nabcdef\r\n\r\n")
        answer = answer_of(client)
    assert answer.startswith(b"HTTP/1.1 201 ")
    assert b"HTTP/1.1 400 " in answer  # the rest is no request
    assert hurried.ask("GET", f"/v2/{repo}/blobs/{digest}").body == b"abc"


def stuck(server: Server, path: str) -> socket.socket:
    """Ask for something large and take nothing of it."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.settimeout(60)
    client.connect(server.address)
    client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    return client


@pytest.mark.parametrize(("kind", "most"), [("blobs", 2 * MIB), ("manifests", 6 * MIB)])
def test_readers_that_take_nothing_cost_little_and_are_cut_off(
    tmp_path: Path, kind: str, most: int
) -> None:
    with running(tmp_path, config={"timeouts": {"stalled": "5s"}}) as server:
        layer = os.urandom(48 * MIB)
        server.push_image("a", "large", layer, annotations={"padding": "x" * (4 * MIB - 2000)})
        name = digest_of(layer) if kind == "blobs" else "large"
        with bystander(server) as other, ExitStack() as readers:
            before, files = server.memory(), server.descriptors()
            for _ in range(READERS):
                readers.enter_context(stuck(server, f"/v2/a/{kind}/{name}"))
            wait_until(lambda: server.descriptors() >= files + READERS, what="all are in")
            other.check()
            assert server.memory() - before < READERS * most
            wait_until(lambda: server.descriptors() < files + 5, what="they are cut off")
