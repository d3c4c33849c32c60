# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import socket
from datetime import timedelta
from pathlib import Path

import pytest

from cais_registry.app.cutting import Scissors
from cais_registry.app.listening import listen
from cais_registry.http.gate import Gate
from cais_registry.http.patience import Slowest
from cais_registry.model.limits import Limits
from cais_registry.services.access import OPEN
from support.fuzz_requests import digest, push_blob
from support.in_process import Sent, opened


async def test_whoever_takes_nothing_of_an_answer_is_cut(tmp_path: Path) -> None:
    content, open_to_all = b"x" * 300_000, Gate(OPEN, verifier=None, realm=None)
    hurried = Slowest(seconds=1, count=1)
    async with opened(tmp_path, open_to_all, Limits(), slowest=hurried) as client:
        assert (await client.ask(push_blob("a", content))).status == 201
        pull = Sent(method="GET", target=f"/v2/a/blobs/{digest(content)}")
        assert (await client.ask(pull)).body == content
        assert client.cut == []
        assert (await client.ask(pull, takes=False)).body == b""
        assert client.cut == [("127.0.0.1", 4711)]


def pair(listener: socket.socket) -> tuple[socket.socket, socket.socket]:
    """A connection: the client's side, and ours."""
    listener.setblocking(True)
    client = socket.create_connection(listener.getsockname()[:2])
    return client, listener.accept()[0]


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_the_connections_of_these_peers_end_and_no_others(host: str) -> None:
    with listen(host, 0) as listener:
        pairs = [pair(listener) for _ in range(3)]
        before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - a number
        scissors = Scissors()
        for client, _ in pairs[:2]:
            name = client.getsockname()
            scissors.cut((name[0], name[1]))
        scissors.cut(("127.0.0.1", 1))  # has gone already
        assert scissors._search is not None
        await scissors._search
        for client, _ in pairs[:2]:
            client.settimeout(30)
            assert client.recv(1) == b""
        (alive, ours) = pairs[2]
        ours.sendall(b"x")
        assert alive.recv(1) == b"x"
        assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208 - a number
        for side in (side for both in pairs for side in both):
            side.close()


def test_connections_inherit_how_long_a_reader_may_be_stuck() -> None:
    with listen("127.0.0.1", 0, timedelta(seconds=7)) as listener:
        client, ours = pair(listener)
        with client, ours:
            assert ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 14_000
