# SPDX-License-Identifier: Apache-2.0
"""A server that is told to stop finishes what it does."""

from __future__ import annotations

import http.client
import os
import signal
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from support.registry import DEADLINE, Answer, Server, digest_of, running, wait_until
from support.transfers import download

BLOB = os.urandom(32 << 20)


@contextmanager
def upload(server: Server, content: bytes) -> Iterator[http.client.HTTPConnection]:
    """Send half of a blob."""
    with closing(server.connect()) as connection:
        connection.putrequest("POST", f"/v2/a/blobs/uploads/?digest={digest_of(content)}")
        connection.putheader("Content-Length", str(len(content)))
        connection.endheaders(content[: len(content) // 2])
        wait_until(lambda: any((server.data / "uploads").iterdir()), what="the upload has begun")
        yield connection


def refused(server: Server) -> Answer:
    """Ask until the server lets nobody in any more."""

    def ask() -> Answer | None:
        answer = server.ask("GET", "/v2/")
        return answer if answer.status != 200 else None

    answer: Answer = wait_until(ask, what="a new request is refused")
    return answer


def test_what_runs_is_finished_and_what_comes_is_told_to_come_back(tmp_path: Path) -> None:
    content = os.urandom(1 << 20)
    with running(tmp_path, config={"timeouts": {"drain": "2m"}}) as server:
        server.push_blob("a", BLOB)
        with download(server, BLOB) as reading, upload(server, content) as writing:
            server.process.send_signal(signal.SIGTERM)
            answer = refused(server)
            assert (answer.status, answer.code, answer["Retry-After"]) == (503, "UNAVAILABLE", "5")
            assert answer["Docker-Distribution-Api-Version"] == "registry/2.0"
            assert server.ask("GET", "/readyz").status == 503
            assert server.ask("GET", "/healthz").status == 200
            writing.send(content[len(content) // 2 :])
            with writing.getresponse() as pushed:
                assert pushed.status == 201
            assert digest_of(reading.read()) == digest_of(BLOB)
        assert server.process.wait(DEADLINE) == 0
    with running(tmp_path) as again:
        assert again.ask("GET", f"/v2/a/blobs/{digest_of(content)}").body == content


def test_a_server_that_does_nothing_stops_at_once(tmp_path: Path) -> None:
    with running(tmp_path, config={"timeouts": {"drain": "1h"}}) as server:
        assert server.stop() == 0


def test_the_end_comes_when_the_time_is_over(tmp_path: Path) -> None:
    with running(tmp_path, config={"timeouts": {"drain": "1s"}}) as server:
        server.push_blob("a", BLOB)
        with download(server, BLOB):
            server.process.send_signal(signal.SIGTERM)
            server.process.wait(DEADLINE)


def test_the_end_comes_when_told_a_second_time(tmp_path: Path) -> None:
    with running(tmp_path, config={"timeouts": {"drain": "1h"}}) as server:
        server.push_blob("a", BLOB)
        with download(server, BLOB):
            server.process.send_signal(signal.SIGTERM)
            refused(server)
            server.process.send_signal(signal.SIGTERM)
            server.process.wait(DEADLINE)
