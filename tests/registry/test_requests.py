# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from cais_registry.http import requests, sending
from cais_registry.http.errors import BadRequest, RequestTimeout
from cais_registry.http.patience import Patience, Slowest
from cais_registry.http.responses import FileBody, Response
from cais_registry.model.errors import ManifestTooLarge, SizeInvalid

HURRIED = Slowest(seconds=0.01, count=1)


class Client:
    """The other side: what it sends, then silence or the end."""

    def __init__(self, pieces: Iterable[bytes], *, ends: str = "complete") -> None:
        self._pieces = list(pieces)
        self._ends = ends
        self.messages: list[dict[str, Any]] = []

    async def receive(self) -> dict[str, Any]:
        await asyncio.sleep(0)
        if self._pieces:
            more = len(self._pieces) > 1 or self._ends != "complete"
            return {"type": "http.request", "body": self._pieces.pop(0), "more_body": more}
        if self._ends == "silent":
            await asyncio.Event().wait()
        return {"type": "http.disconnect"}

    async def send(self, message: dict[str, Any]) -> None:
        await asyncio.sleep(0)
        self.messages.append(message)

    @property
    def received(self) -> bytes:
        return b"".join(m["body"] for m in self.messages if m["type"] == "http.response.body")

    def request(
        self, *headers: tuple[bytes, bytes], query: bytes = b"", patience: Patience | None = None
    ) -> requests.Request:
        scope = {
            "method": "PUT",
            "path": "/decoded",
            "raw_path": b"/raw%2fpath",
            "query_string": query,
            "headers": [(b"transfer-encoding", b"chunked"), *headers],
        }
        return requests.read(scope, self.receive, patience or Patience())


async def test_a_body_is_read_to_its_end() -> None:
    body = Client([b"ab", b"", b"c"]).request().body
    assert [piece async for piece in body] == [b"ab", b"c"]
    assert body.is_finished
    assert body.received == 3


async def test_the_end_of_a_body_whose_length_is_declared_is_not_waited_for() -> None:
    client = Client([b"ab", b"c"], ends="silent")
    scope = {"method": "PUT", "path": "/", "query_string": b""}
    headers = [(b"content-length", b"3")]
    body = requests.read({**scope, "headers": headers}, client.receive, Patience()).body
    async with asyncio.timeout(30):
        assert [piece async for piece in body] == [b"ab", b"c"]
    assert body.is_finished


async def test_a_truncated_body_is_an_error() -> None:
    with pytest.raises(SizeInvalid):
        await Client([b"ab"], ends="gone").request().body.read(limit=10)


async def test_a_client_that_falls_silent_is_given_up() -> None:
    with pytest.raises(RequestTimeout):
        await Client([b"ab"], ends="silent").request(patience=Patience(HURRIED)).body.read(limit=10)


async def test_reading_stops_at_the_limit() -> None:
    client = Client([b"x" * 10] * 100)
    with pytest.raises(ManifestTooLarge):
        await client.request().body.read(limit=25)
    assert len(client._pieces) == 97


async def test_lingering_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "_LINGER_BYTES", 35)
    client = Client([b"x" * 10] * 100)
    await client.request().body.linger()
    assert len(client._pieces) == 96
    monkeypatch.setattr(requests, "_LINGER_SECONDS", 0.01)
    await Client([], ends="silent").request().body.linger()


def test_a_request_without_a_body_has_none() -> None:
    scope = {"method": "GET", "path": "/", "query_string": b"", "headers": []}
    assert requests.read(scope, Client([]).receive, Patience()).body.is_finished


def test_the_path_is_taken_as_it_was_sent() -> None:
    assert Client([]).request().path == "/raw%2fpath"


def test_parameters_are_decoded_and_kept_in_order() -> None:
    request = Client([]).request(query=b"tag=a&tag=b%2Bc&last=")
    assert request.parameters("tag") == ["a", "b+c"]
    assert request.parameter("last") == ""
    assert request.parameter("none") is None


def test_too_many_parameters_are_not_parsed() -> None:
    assert Client([]).request(query=b"a=1&" * 1000).query is None


def test_a_header_that_comes_twice_is_joined() -> None:
    request = Client([]).request((b"Accept", b"a"), (b"accept", b"b"))
    assert request.headers["accept"] == "a, b"


@pytest.mark.parametrize("value", [b"-1", b"1e3", b"", b"0x10", "²".encode("latin-1")])
def test_a_length_that_is_no_number_is_refused(value: bytes) -> None:
    with pytest.raises(BadRequest):
        _ = Client([]).request((b"content-length", value)).content_length


def opened(path: Path) -> int:
    return os.open(path, os.O_RDONLY)


def is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


CONTENT = bytes(range(256)) * 4000


@pytest.fixture
def blob(tmp_path: Path) -> Path:
    path = tmp_path / "blob"
    path.write_bytes(CONTENT)
    return path


async def test_a_file_is_sent_in_pieces_and_closed(blob: Path) -> None:
    client, fd = Client([], ends="silent"), opened(blob)
    response = Response(body=FileBody(fd=fd, start=100, length=900_000))
    sent = await sending.send_response({"method": "GET"}, client.receive, client.send, response)
    assert sent == 900_000
    assert client.received == CONTENT[100:900_100]
    assert len(client.messages) > 3
    assert [m.get("more_body", False) for m in client.messages[1:]][-1] is False
    assert not is_open(fd)


async def test_a_client_that_hangs_up_is_sent_no_more(blob: Path) -> None:
    client, fd = Client([], ends="gone"), opened(blob)
    response = Response(body=FileBody(fd=fd, start=0, length=1_024_000))
    sent = await sending.send_response({"method": "GET"}, client.receive, client.send, response)
    assert sent < 1_024_000
    assert not is_open(fd)


async def test_a_head_request_gets_the_length_and_no_body(blob: Path) -> None:
    client, fd = Client([]), opened(blob)
    response = Response(body=FileBody(fd=fd, start=0, length=7))
    await sending.send_response({"method": "HEAD"}, client.receive, client.send, response)
    assert (b"content-length", b"7") in client.messages[0]["headers"]
    assert client.received == b""
    assert not is_open(fd)


async def test_a_file_is_closed_even_when_sending_fails(blob: Path) -> None:
    async def broken(_message: dict[str, Any]) -> None:
        raise OSError("gone")

    client, fd = Client([]), opened(blob)
    response = Response(body=FileBody(fd=fd, start=0, length=7))
    with pytest.raises(OSError, match="gone"):
        await sending.send_response({"method": "GET"}, client.receive, broken, response)
    assert not is_open(fd)


async def test_a_file_that_is_shorter_than_it_should_be_is_never_padded(blob: Path) -> None:
    client, fd = Client([], ends="silent"), opened(blob)
    response = Response(body=FileBody(fd=fd, start=0, length=2_000_000))
    with pytest.raises(OSError, match="ends at byte 1024000"):
        await sending.send_response({"method": "GET"}, client.receive, client.send, response)


@pytest.mark.parametrize("status", [204, 304])
async def test_answers_that_have_no_body_have_no_length(status: int) -> None:
    client = Client([])
    response = Response(status=status)
    await sending.send_response({"method": "GET"}, client.receive, client.send, response)
    assert client.messages[0]["headers"] == []


async def test_a_header_may_stand_in_several_lines() -> None:
    """As challenges do: clients read one from each line (RFC 9110, 11.6.1)."""
    client = Client([])
    challenges = (("WWW-Authenticate", "Basic realm=a"), ("WWW-Authenticate", "Bearer realm=b"))
    response = Response(status=401, headers=challenges)
    await sending.send_response({"method": "HEAD"}, client.receive, client.send, response)
    sent = [value for name, value in client.messages[0]["headers"] if name == b"www-authenticate"]
    assert sent == [b"Basic realm=a", b"Bearer realm=b"]


@pytest.mark.parametrize("kind", ["file", "bytes"])
async def test_a_client_that_does_not_take_its_answer_is_given_up(blob: Path, kind: str) -> None:
    async def stuck(message: dict[str, Any]) -> None:
        if message.get("body"):
            await asyncio.Event().wait()

    fd, client = opened(blob), Client([], ends="silent")
    body = FileBody(fd=fd, start=0, length=len(CONTENT)) if kind == "file" else CONTENT
    with pytest.raises(sending.Stalled):
        await sending.send_response(
            {"method": "GET"},
            client.receive,
            stuck,
            Response(body=body),
            patience=Patience(HURRIED),
        )
    if kind == "bytes":
        os.close(fd)
    assert not is_open(fd)


async def test_a_large_answer_from_memory_goes_out_in_pieces() -> None:
    client = Client([], ends="silent")
    response = Response(body=CONTENT)
    sent = await sending.send_response({"method": "GET"}, client.receive, client.send, response)
    assert (sent, client.received) == (len(CONTENT), CONTENT)
    assert len(client.messages) > 3
