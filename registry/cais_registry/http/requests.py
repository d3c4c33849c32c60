# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, Final, TypeAlias
from urllib.parse import parse_qsl

import msgspec

from cais_registry.http.errors import BadRequest, RequestTimeout
from cais_registry.http.pace import Pace
from cais_registry.http.patience import Patience
from cais_registry.model.errors import ManifestTooLarge, SizeInvalid

Scope: TypeAlias = Mapping[str, Any]
Message: TypeAlias = Mapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[dict[str, Any]], Awaitable[None]]
Peer: TypeAlias = tuple[str, int]
"""Address and port of the other side of a connection."""

MOST_PARAMETERS: Final = 256
_MOST_DIGITS: Final = 19
_LINGER_BYTES: Final = 32 * 1024 * 1024
_LINGER_SECONDS: Final = 5.0


class Body:
    """The body of a request, read once, piece by piece, as fast as it is asked for.

    Attributes:
        received: Bytes so far.
        declared: Bytes that the client has declared; None when not known.
        is_finished: True when nothing more will come.
    """

    def __init__(self, receive: Receive, patience: Patience, *, declared: int | None) -> None:
        """Begin.

        Args:
            receive: Gives the messages.
            patience: Watches over the waiting for them.
            declared: Bytes that the client has declared; None when not known.
        """
        self._receive = receive
        self._patience = patience
        self.declared = declared
        self._pace: Pace | None = None  # most requests have no body
        self.received = 0
        self.is_finished = declared == 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield pieces.

        Raises:
            SizeInvalid: If the client goes away before the end.
            RequestTimeout: If it stops sending, or hardly sends.
        """
        pace = self._pace = self._pace or Pace(self._patience)
        while not self.is_finished:
            try:
                with pace:
                    message = await self._receive()
            except TimeoutError as error:
                raise RequestTimeout(
                    "the body came too slowly, or not at all; ask how far it is and send the rest"
                ) from error
            if piece := self._taken(message, pace):
                yield piece

    async def read(self, *, limit: int) -> bytes:
        """Read all of it into memory.

        Args:
            limit: Most bytes; reading stops as soon as there are more.

        Raises:
            ManifestTooLarge: If there are more bytes.
            SizeInvalid: If the client goes away before the end.
            RequestTimeout: If it stops sending, or hardly sends.
        """
        pieces = []
        async for piece in self:
            if self.received > limit:
                raise ManifestTooLarge(f"the body is too large: at most {limit} bytes are taken")
            pieces.append(piece)
        return b"".join(pieces)

    async def linger(self) -> None:
        """Throw away what still comes, within bounds, so that the client reads the answer.

        A connection that is closed while bytes are on their way is reset, and a reset can
        overtake an answer (RFC 9112, 9.6).
        """
        end = self.received + _LINGER_BYTES
        try:
            async with asyncio.timeout(_LINGER_SECONDS):
                async for _ in self:
                    if self.received >= end:
                        return
        except (TimeoutError, SizeInvalid, RequestTimeout):
            return

    def _taken(self, message: Message, pace: Pace) -> bytes:
        if message["type"] != "http.request":
            self.is_finished = True
            raise SizeInvalid("the connection ended before the body did")
        piece: bytes = message.get("body", b"")
        self.received += len(piece)
        pace.moved(len(piece))
        # the server tells the end in a message of its own, which need not be waited for
        self.is_finished = self.received == self.declared or not message.get("more_body", False)
        return piece


class Request(msgspec.Struct, frozen=True, kw_only=True):  # made for every request: the cheapest
    """A request as it came in.

    Attributes:
        method: In capitals.
        path: As it was sent, percent-encoded.
        query: Parameters, decoded, in order; None when there are too many of them.
        headers: By lower-case name; a header that came several times is joined by commas.
        body: What is sent with it.
        client: Address of the other side, for the log.
    """

    method: str
    path: str
    query: tuple[tuple[str, str], ...] | None
    headers: Mapping[str, str]
    body: Body
    client: str

    def parameter(self, name: str) -> str | None:
        """The first value of a query parameter."""
        return next((value for key, value in self.query or () if key == name), None)

    def parameters(self, name: str) -> list[str]:
        """All values of a query parameter."""
        return [value for key, value in self.query or () if key == name]

    @property
    def content_length(self) -> int | None:
        """Bytes of the body as declared, None when they are not (chunked transfer)."""
        text = self.headers.get("content-length")
        if text is None:
            return None
        if not text.isascii() or not text.isdigit() or len(text) > _MOST_DIGITS:
            raise BadRequest(f"Content-Length {text[:40]!r} is not a number of bytes")
        return int(text)


def read(scope: Scope, receive: Receive, patience: Patience) -> Request:
    """Take a request over from the HTTP server (ASGI 3).

    Args:
        scope: The request.
        receive: Gives the messages of its body.
        patience: Watches over the waiting for them.
    """
    headers = _headers(scope["headers"])
    return Request(
        method=scope["method"],
        path=(scope.get("raw_path") or scope["path"].encode()).decode("latin-1"),
        query=_query(scope["query_string"]),
        headers=headers,
        body=Body(receive, patience, declared=_declared(headers)),
        client=(scope.get("client") or ("",))[0],
    )


def _declared(headers: Mapping[str, str]) -> int | None:
    """Bytes of the body, None if only its end will tell (RFC 9112, 6.3)."""
    if "transfer-encoding" in headers:
        return None
    text = headers.get("content-length", "0")
    is_number = text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS
    return int(text) if is_number else None


def peer(scope: Scope) -> Peer:
    """Whoever sent a request; the HTTP server hands the port over as text."""
    host, port = scope["client"]
    return host, int(port)


def _query(text: bytes) -> tuple[tuple[str, str], ...] | None:
    if not text:
        return ()
    try:
        return tuple(
            parse_qsl(
                text.decode("latin-1"), keep_blank_values=True, max_num_fields=MOST_PARAMETERS
            )
        )
    except ValueError:
        return None


def _headers(pairs: list[tuple[bytes, bytes]]) -> dict[str, str]:
    found = [(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in pairs]
    headers = dict(found)
    if len(headers) == len(found):
        return headers
    headers.clear()
    for name, value in found:
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers
