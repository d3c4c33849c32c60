# SPDX-License-Identifier: Apache-2.0
"""Requests that are none, or two at once: one answer each, and nothing behind it is read."""

from __future__ import annotations

import os
import re
import socket

import pytest

from support.bystander import bystander
from support.registry import Server, digest_of

GET = b"GET /v2/ HTTP/1.1\r\nHost: x\r\n"
PUSH = b"POST /v2/a/blobs/uploads/?digest=" + digest_of(b"abc").encode()
PUSH += b" HTTP/1.1\r\nHost: x\r\n"
CHUNKED = PUSH + b"Transfer-Encoding: chunked\r\n"
HIDDEN = b"GET /v2/_catalog HTTP/1.1\r\nHost: x\r\n\r\n"
"""Stands where a body is; whoever answers it has read a body as a request."""

STATUS = re.compile(rb"HTTP/1\.1 (\d{3})")


def answers(server: Server, sent: bytes, *, ends: bool = True) -> tuple[list[int], bytes]:
    """Send bytes, maybe an end; the statuses of the answers, and all bytes of them."""
    received = b""
    with server.socket() as client:
        try:
            client.sendall(sent)
            if ends:
                client.shutdown(socket.SHUT_WR)
            while piece := client.recv(65536):
                received += piece
        except OSError:  # what is not read any more is thrown away by both
            pass
    return [int(status) for status in STATUS.findall(received)], received


MALFORMED = {
    # whose length is told twice, or in a way that others read differently (RFC 9112, 6.3)
    "two lengths": (PUSH + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc" + HIDDEN, 400),
    "a list of lengths": (PUSH + b"Content-Length: 3, 3\r\n\r\nabc" + HIDDEN, 400),
    "length with a sign": (PUSH + b"Content-Length: +3\r\n\r\nabc" + HIDDEN, 400),
    "length below zero": (PUSH + b"Content-Length: -3\r\n\r\nabc" + HIDDEN, 400),
    "length without bound": (PUSH + b"Content-Length: 99999999999999999999\r\n\r\nabc", 400),
    "coding that is none": (PUSH + b"Transfer-Encoding: xchunked\r\n\r\n" + HIDDEN, 400),
    "coding that hides": (PUSH + b"Transfer-Encoding: \x0bchunked\r\n\r\n" + HIDDEN, 400),
    "chunked is not last": (PUSH + b"Transfer-Encoding: chunked, identity\r\n\r\n" + HIDDEN, 400),
    "chunks for HTTP/1.0": (CHUNKED.replace(b"1.1", b"1.0") + b"\r\n3\r\nabc\r\n0\r\n\r\n", 400),
    "a chunk without a size": (CHUNKED + b"\r\nzz\r\nabc\r\n0\r\n\r\n" + HIDDEN, 400),
    "a chunk below zero": (CHUNKED + b"\r\n-1\r\nabc\r\n0\r\n\r\n" + HIDDEN, 400),
    "a chunk without bound": (CHUNKED + b"\r\nfffffffffffffffff\r\nabc\r\n0\r\n\r\n", 400),
    "a chunk in C": (CHUNKED + b"\r\n0x3\r\nabc\r\n0\r\n\r\n" + HIDDEN, 400),
    "a chunk with half an end": (CHUNKED + b"\r\n3\nabc\r\n0\r\n\r\n" + HIDDEN, 400),
    "a chunk longer than its size": (CHUNKED + b"\r\n3\r\nabcd\r\n0\r\n\r\n" + HIDDEN, 400),
    "a chunk with a long remark": (CHUNKED + b"\r\n3;" + b"a" * 100_000 + b"\r\nabc\r\n", 400),
    "long trailers": (CHUNKED + b"\r\n3\r\nabc\r\n0\r\nX: " + b"a" * 100_000 + b"\r\n\r\n", 400),
    # headers and request lines that are none
    "a space before the colon": (GET + b"X : a\r\n\r\n" + HIDDEN, 400),
    "a folded header": (GET + b"X: a\r\n b\r\n\r\n" + HIDDEN, 400),
    "NUL in a header": (GET + b"X: a\0b\r\n\r\n" + HIDDEN, 400),
    "CR in a header": (GET + b"X: a\rb\r\n\r\n" + HIDDEN, 400),
    "a name that is none": (GET + b"X(y: a\r\n\r\n" + HIDDEN, 400),
    "NUL in a path": (b"GET /v2/\0 HTTP/1.1\r\nHost: x\r\n\r\n" + HIDDEN, 400),
    "a space in a path": (b"GET /v2/ a HTTP/1.1\r\nHost: x\r\n\r\n" + HIDDEN, 400),
    "bytes in a path": (b"GET /v2/\xff HTTP/1.1\r\nHost: x\r\n\r\n" + HIDDEN, 400),
    "too many headers": (GET + b"".join(b"X%d: a\r\n" % n for n in range(200)) + b"\r\n", 431),
    "too large headers": (GET + b"X: " + b"a" * (256 * 1024 - len(GET) - 3), 431),
    "too long a path": (b"GET /v2/" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
    # other protocols
    "HTTP/0.9": (b"GET /v2/\r\n\r\n" + HIDDEN, 400),
    "HTTP/3": (b"GET /v2/ HTTP/3.0\r\nHost: x\r\n\r\n" + HIDDEN, 400),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x99" * 500, 400),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_what_is_no_request_gets_one_answer_and_the_connection_ends(
    server: Server, name: str
) -> None:
    sent, status = MALFORMED[name]
    found, received = answers(server, sent)
    assert found == [status], received
    has_come_in = sent.startswith(CHUNKED)  # what is wrong comes later: it is answered as any other
    assert (b'{"errors":' in received, received.endswith(b"\r\n\r\n")) == (
        has_come_in,
        not has_come_in,
    )


@pytest.mark.parametrize("order", [(b"Content-Length: 3\r\n", 0), (b"Content-Length: 3\r\n", 1)])
def test_a_body_with_length_and_chunks_is_read_as_chunks_and_ends_the_connection(
    server: Server, order: tuple[bytes, int]
) -> None:
    """RFC 9112, 6.1: whoever stood between may have read it the other way."""
    length, first = order
    lines = (length, b"Transfer-Encoding: chunked\r\n")
    sent = PUSH + lines[first] + lines[1 - first] + b"\r\n3\r\nabc\r\n0\r\n\r\n" + HIDDEN
    assert answers(server, sent)[0] == [201]


ODD = {
    "a body where none belongs": (GET + b"Content-Length: 5\r\n\r\nhello", 200),
    "an upgrade": (GET + b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n", 200),
    "an address with a host": (b"GET http://other/v2/ HTTP/1.1\r\nHost: x\r\n\r\n", 200),
    "many headers": (GET + b"".join(b"X%d: a\r\n" % n for n in range(98)) + b"\r\n", 200),
    "a large header": (GET + b"X: " + b"a" * 200_000 + b"\r\n\r\n", 200),
    "a large login": (GET + b"Authorization: Basic " + b"A" * 100_000 + b"\r\n\r\n", 200),
    "a tunnel": (b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n", 404),
    "the whole server": (b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", 404),
    "a long method": (b"A" * 5000 + b" /v2/ HTTP/1.1\r\nHost: x\r\n\r\n", 405),
    "a small method": (b"get /v2/ HTTP/1.1\r\nHost: x\r\n\r\n", 405),
}


@pytest.mark.parametrize("name", ODD)
def test_what_is_odd_but_clear_is_answered_and_the_connection_goes_on(
    server: Server, name: str
) -> None:
    sent, status = ODD[name]
    last = HIDDEN.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    found, received = answers(server, sent + last, ends=False)
    assert found == [status, 200], received
    assert (b'"errors"' in received) == (status >= 400)


PATHS = [
    ("/v2/../healthz", 404, "UNSUPPORTED"),
    ("/v2%2f", 404, "UNSUPPORTED"),
    ("/v2/a%0d%0aX:y/tags/list", 400, "NAME_INVALID"),
    ("/v2/a%00/tags/list", 400, "NAME_INVALID"),
    ("/v2/a%252fb/tags/list", 400, "NAME_INVALID"),  # decoded once, and once only
    ("/v2/a%zz%/tags/list", 400, "NAME_INVALID"),
    ("/v2/a%c0%af/tags/list", 400, "NAME_INVALID"),  # a slash in three bytes
    ("/v2/%2e%2e/%2e%2e/etc/tags/list", 400, "NAME_INVALID"),
    ("/v2/a/manifests/..%2f..%2fv1", 400, "TAG_INVALID"),
    ("/v2/a/manifests/v1%00", 400, "TAG_INVALID"),
    ("/v2/a/blobs/uploads/%2e%2e%2f%2e%2e", 404, "BLOB_UPLOAD_UNKNOWN"),
    ("/v2/" + "a/" * 30_000 + "tags/list", 400, "NAME_INVALID"),
    ("/v2/_catalog?n=-" + "9" * 50_000, 400, "PAGINATION_NUMBER_INVALID"),
    ("/v2/_catalog?last=%00", 400, "UNSUPPORTED"),
    ("/v2/_catalog?" + "&" * 50_000 + "n=x", 400, "UNSUPPORTED"),
]


@pytest.mark.parametrize(("path", "status", "code"), PATHS, ids=lambda value: str(value)[:40])
def test_tricks_with_paths_and_queries_are_refused(
    server: Server, path: str, status: int, code: str
) -> None:
    answer = server.ask("GET", path)
    assert (answer.status, answer.code) == (status, code)


@pytest.mark.parametrize("text", ["%0d%0aX-Evil:%20y", "%ff", "a" * 60_000])
def test_what_comes_back_in_a_header_stays_in_it(server: Server, repo: str, text: str) -> None:
    for tag in ("a", "b", "c"):
        server.push_image(repo, tag)
    answer = server.ask("GET", f"/v2/{repo}/tags/list?n=1&other={text}")
    assert answer.status == 200
    assert answer["X-Evil"] is None
    link = answer["Link"] or ""
    assert server.ask("GET", link.removeprefix("<").partition(">")[0]).json["tags"] == ["b"]
    assert server.ask("GET", f"/v2/{repo}/tags/list?last={text}").status == 200


def test_nobody_else_notices(server: Server) -> None:
    with bystander(server):
        for _ in range(3):
            for sent, _ in MALFORMED.values():
                answers(server, sent)
        answers(server, os.urandom(1 << 20))
