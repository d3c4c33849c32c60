# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from typing import Any, TypeAlias

import msgspec

from cais_registry.http.acts import Act
from cais_registry.stores.blobstore import OpenBytes

Headers: TypeAlias = tuple[tuple[str, str], ...]


class FileBody(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes of an open file.

    Attributes:
        fd: The descriptor; whoever sends the response closes it.
        start: First byte.
        length: How many bytes.
    """

    fd: int
    start: int
    length: int


class StreamBody(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes of a store without files.

    Attributes:
        content: The open bytes; whoever sends the response closes them.
        start: First byte.
        length: How many bytes.
    """

    content: OpenBytes
    start: int
    length: int


class Response(msgspec.Struct, frozen=True, kw_only=True):  # made for every request: the cheapest
    """An answer.

    Attributes:
        status: HTTP status code.
        headers: Without `Content-Length`, unless `adds_length` is False.
        body: What is sent; a HEAD request gets the headers only.
        adds_length: Whether the length of the body goes out as `Content-Length`.
        acts: What the request did, for the audit log; it is not sent.
    """

    status: int = 200
    headers: Headers = ()
    body: bytes | FileBody | StreamBody = b""
    adds_length: bool = True
    acts: tuple[Act, ...] = ()

    @property
    def length(self) -> int:
        """Bytes of the body."""
        return len(self.body) if isinstance(self.body, bytes) else self.body.length

    def with_headers(self, *headers: tuple[str, str]) -> Response:
        """The same with more headers."""
        return msgspec.structs.replace(self, headers=(*self.headers, *headers))

    def telling(self, *acts: Act) -> Response:
        """The same with acts for the audit log."""
        return msgspec.structs.replace(self, acts=acts)


def to_json(content: Any, *, status: int = 200, headers: Headers = ()) -> Response:  # noqa: ANN401 - any JSON
    """Answer with JSON (a Struct, or plain values), and a `Content-Type` unless there is one."""
    given = {name.lower() for name, _ in headers}
    kind: Headers = () if "content-type" in given else (("Content-Type", "application/json"),)
    if isinstance(content, msgspec.Struct):
        body = msgspec.json.encode(content)
    else:
        body = json.dumps(content, separators=(",", ":")).encode()
    return Response(status=status, headers=(*kind, *headers), body=body)
