# SPDX-License-Identifier: Apache-2.0
"""Connections that nobody uses harm nobody."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from support.bystander import unharmed
from support.registry import running

IDLE = 3000
EACH = 16 * 1024  # bytes of memory that one may cost, far from what it may send


@contextmanager
def descriptors(count: int) -> Iterator[None]:
    """Let this process, and not the server that it has started, have so many files open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, count), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_thousands_of_idle_connections_harm_nobody(tmp_path: Path) -> None:
    with ExitStack() as idle:
        server = idle.enter_context(running(tmp_path))
        idle.enter_context(descriptors(IDLE + 500))
        idle.enter_context(unharmed(server, IDLE * EACH))
        first = idle.enter_context(server.socket())
        for number in range(IDLE):
            connection = idle.enter_context(server.socket())
            if number % 3 == 0:  # neither does a request that never ends
                connection.sendall(b"GET /v2/ HTTP/1.1\r\nHost: registry\r\nX-Slow: ")
        for path in ("/v2/", "/healthz", "/readyz"):
            assert server.ask("GET", path).status == 200
        first.setblocking(False)
        with pytest.raises(BlockingIOError):  # it was not for them that others were let in
            first.recv(1)


def test_a_connection_without_a_request_is_closed(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("timeouts: {idle: 1s}\n")
    with (
        running(tmp_path, "--config", config) as server,
        server.socket() as silent,
        server.socket() as used,
    ):
        used.sendall(b"GET /v2/ HTTP/1.1\r\nHost: registry\r\n\r\n")
        assert used.recv(65536).startswith(b"HTTP/1.1 200")
        for connection in (silent, used):
            connection.settimeout(120)
            assert connection.recv(65536) == b""
