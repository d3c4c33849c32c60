# SPDX-License-Identifier: Apache-2.0
"""Writes responses out; large ones in pieces, as fast as the client takes them.

The server could read a file by its name (`http.response.pathsend`), but it opens that name at a
time of its own, when the descriptor may be closed and the name gone (docs/adr/0007).
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, Final, TypeAlias

from cais_registry.http.pace import Pace
from cais_registry.http.patience import Patience
from cais_registry.http.requests import Receive, Scope, Send
from cais_registry.http.responses import FileBody, Response, StreamBody

_PIECE: Final = 128 * 1024  # of which the HTTP server queues about seven for a slow client
_WITHOUT_LENGTH: Final = (204, 304)  # RFC 9110, 8.6

Encoded: TypeAlias = tuple[tuple[bytes, bytes], ...]

# a manifest's media type is its pusher's choice: no browser may run what comes with it
_COMMON: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; sandbox"),
)
_V2: Final = (*_COMMON, (b"docker-distribution-api-version", b"registry/2.0"))


def common_headers(path: str) -> Encoded:
    """The headers of every answer; old clients look at those below /v2 for what is a registry."""
    return _V2 if path.startswith("/v2") else _COMMON


class Stalled(Exception):  # noqa: N818 - what happened, to an answer that is under way
    """The client does not take an answer, or hardly.

    Attributes:
        sent: Bytes of the body that were handed over.
    """

    def __init__(self, sent: int) -> None:
        super().__init__("the client does not take the answer")
        self.sent = sent


async def send_response(  # noqa: PLR0913 - what an ASGI server hands over, and how to use it
    scope: Scope,
    receive: Receive,
    send: Send,
    response: Response,
    common: Encoded = (),
    *,
    patience: Patience | None = None,
) -> int:
    """Send an answer; an open file in it is closed in any case.

    Args:
        scope: The request's; tells the method.
        receive: Tells when the client goes away.
        send: Takes the messages.
        response: The answer.
        common: More headers, as they go out.
        patience: Watches over the waiting for the client.

    Returns:
        Bytes of the body that were handed over.

    Raises:
        Stalled: If the client is too slow; nothing more is sent.
    """
    try:
        await send(_start(response, common))
        body = b"" if scope["method"] == "HEAD" or not response.length else response.body
        if isinstance(body, bytes) and len(body) <= _PIECE:
            await send({"type": "http.response.body", "body": body})
            return len(body)
        pace = Pace(patience or Patience())
        return await _send_pieces(receive, send, _pieces(body), response.length, pace)
    finally:
        _close(response)


def _close(response: Response) -> None:
    if isinstance(response.body, FileBody):
        os.close(response.body.fd)
    elif isinstance(response.body, StreamBody):
        response.body.content.close()


def _start(response: Response, common: Encoded) -> dict[str, Any]:
    headers = [
        (name.lower().encode("latin-1"), value.encode("latin-1"))
        for name, value in response.headers
    ]
    if response.adds_length and response.status not in _WITHOUT_LENGTH:
        headers.append((b"content-length", b"%d" % response.length))
    headers += common
    return {"type": "http.response.start", "status": response.status, "headers": headers}


async def _send_pieces(
    receive: Receive, send: Send, pieces: AsyncGenerator[bytes, None], length: int, pace: Pace
) -> int:
    """Hand on piece by piece; when the client goes, nothing more is read for it."""
    gone = asyncio.ensure_future(_wait_for_disconnect(receive))
    sent = 0
    try:
        async with aclosing(pieces):
            async for piece in pieces:
                if gone.done():
                    break
                more = sent + len(piece) < length
                message = {"type": "http.response.body", "body": piece, "more_body": more}
                try:
                    with pace:
                        await send(message)
                except TimeoutError:
                    raise Stalled(sent) from None
                sent += len(piece)
                pace.moved(len(piece))
    finally:
        gone.cancel()
    return sent


def _pieces(body: bytes | FileBody | StreamBody) -> AsyncGenerator[bytes, None]:
    if isinstance(body, FileBody):
        return _of_file(body)
    if isinstance(body, StreamBody):
        return body.content.read(body.start, body.length)
    return _of_bytes(body)


async def _of_bytes(body: bytes) -> AsyncGenerator[bytes, None]:
    """A slow client costs a piece, not a copy of everything."""
    for begin in range(0, len(body), _PIECE):
        yield body[begin : begin + _PIECE]


async def _of_file(body: FileBody) -> AsyncGenerator[bytes, None]:
    loop = asyncio.get_running_loop()
    position, end = body.start, body.start + body.length
    probe = [bytearray(1)]
    while position < end:
        size = min(_PIECE, end - position)
        if _is_in_memory(body.fd, probe, position, position + size - 1):
            piece = os.pread(body.fd, size, position)
        else:
            piece = await loop.run_in_executor(None, os.pread, body.fd, size, position)
        if not piece:
            raise OSError(f"a blob ends at byte {position} instead of {end}")
        position += len(piece)
        yield piece


def _is_in_memory(descriptor: int, probe: list[bytearray], *positions: int) -> bool:
    """Whether the kernel has a piece in memory, judged by its ends: then no thread is needed.

    To read the piece itself so would mean to copy it once more.
    """
    try:
        for position in positions:
            os.preadv(descriptor, probe, position, os.RWF_NOWAIT)
    except OSError:  # it would wait for the disk, or the file system cannot tell
        return False
    return True


async def _wait_for_disconnect(receive: Receive) -> None:
    """Clients ask for "all from byte N" and hang up early; reading on would be for nobody."""
    while (await receive())["type"] != "http.disconnect":
        pass
