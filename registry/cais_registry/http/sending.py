# SPDX-License-Identifier: Apache-2.0
"""Writes responses out; files in pieces, as fast as the client takes them.

The server could read a file by its name (`http.response.pathsend`), but it opens that name at a
time of its own, when the descriptor may be closed and the name gone (docs/adr/0007).
"""

from __future__ import annotations

import asyncio
import os
from contextlib import aclosing
from typing import Any, Final, TypeAlias

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


async def send_response(
    scope: Scope, receive: Receive, send: Send, response: Response, common: Encoded = ()
) -> int:
    """Send an answer; an open file in it is closed in any case.

    Args:
        scope: The request's; tells the method.
        receive: Tells when the client goes away.
        send: Takes the messages.
        response: The answer.
        common: More headers, as they go out.

    Returns:
        Bytes of the body that were handed over.
    """
    body = response.body
    try:
        await send(_start(response, common))
        if isinstance(body, bytes) or scope["method"] == "HEAD" or not body.length:
            content = body if isinstance(body, bytes) and scope["method"] != "HEAD" else b""
            await send({"type": "http.response.body", "body": content})
            return len(content)
        if isinstance(body, StreamBody):
            return await _send_stream(receive, send, body)
        return await _send_pieces(receive, send, body)
    finally:
        if isinstance(body, FileBody):
            os.close(body.fd)
        elif isinstance(body, StreamBody):
            body.content.close()


def _start(response: Response, common: Encoded) -> dict[str, Any]:
    headers = [
        (name.lower().encode("latin-1"), value.encode("latin-1"))
        for name, value in response.headers
    ]
    if response.adds_length and response.status not in _WITHOUT_LENGTH:
        headers.append((b"content-length", b"%d" % response.length))
    headers += common
    return {"type": "http.response.start", "status": response.status, "headers": headers}


async def _send_pieces(receive: Receive, send: Send, body: FileBody) -> int:
    loop = asyncio.get_running_loop()
    gone = asyncio.ensure_future(_wait_for_disconnect(receive))
    position, end = body.start, body.start + body.length
    buffer = bytearray(min(_PIECE, body.length))
    try:
        while position < end and not gone.done():
            size = min(_PIECE, end - position)
            piece = _read_now(body.fd, memoryview(buffer)[:size], position)
            if piece is None:
                piece = await loop.run_in_executor(None, os.pread, body.fd, size, position)
            if not piece:
                raise OSError(f"a blob ends at byte {position} instead of {end}")
            position += len(piece)
            more = position < end
            await send({"type": "http.response.body", "body": piece, "more_body": more})
    finally:
        gone.cancel()
    return position - body.start


async def _send_stream(receive: Receive, send: Send, body: StreamBody) -> int:
    """Hand on what the store sends, as fast as the client takes it; its going ends the reading."""
    gone = asyncio.ensure_future(_wait_for_disconnect(receive))
    sent = 0
    try:
        async with aclosing(body.content.read(body.start, body.length)) as pieces:
            async for piece in pieces:
                if gone.done():
                    break
                sent += len(piece)
                more = sent < body.length
                await send({"type": "http.response.body", "body": piece, "more_body": more})
    finally:
        gone.cancel()
    return sent


def _read_now(descriptor: int, buffer: memoryview, position: int) -> bytes | None:
    """Read what the kernel has in memory, which costs less than a thread; None if it has not."""
    try:
        count = os.preadv(descriptor, [buffer], position, os.RWF_NOWAIT)
    except OSError:  # it would wait for the disk, or the file system cannot tell
        return None
    return bytes(buffer[:count])


async def _wait_for_disconnect(receive: Receive) -> None:
    """Clients ask for "all from byte N" and hang up early; reading on would be for nobody."""
    while (await receive())["type"] != "http.disconnect":
        pass
