# SPDX-License-Identifier: Apache-2.0
"""One question to a name server over TCP (RFC 1035): does the cluster know a name?"""

from __future__ import annotations

import secrets
import socket
import struct
from typing import Final

_TIMEOUT: Final = 10.0  # seconds
_RECURSION: Final = 0x0100  # the flag that asks for an answer from anywhere
_KINDS: Final = (1, 28)  # A, AAAA
_INTERNET: Final = 1
_NO_ERROR: Final = 0
_CODE: Final = 0x000F  # the part of the flags that tells how it went
_HEADER: Final = struct.Struct("!HHHHHH")
_PREFIX: Final = struct.Struct("!H")


def question(name: str, kind: int, number: int) -> bytes:
    """Return a query with its length before it."""
    labels = b"".join(bytes([len(one)]) + one.encode() for one in name.split("."))
    body = _HEADER.pack(number, _RECURSION, 1, 0, 0, 0)
    body += labels + b"\0" + struct.pack("!HH", kind, _INTERNET)
    return _PREFIX.pack(len(body)) + body


def is_known(answer: bytes, number: int) -> bool:
    """Whether an answer, without its length, has an address.

    Raises:
        ValueError: When it answers something else.
    """
    if len(answer) < _HEADER.size:
        raise ValueError("an answer that is cut short")
    found, flags, _, answers, _, _ = _HEADER.unpack(answer[: _HEADER.size])
    if found != number:
        raise ValueError("an answer to another question")
    return bool(flags & _CODE == _NO_ERROR and answers > 0)


def knows(port: int, name: str) -> bool:
    """Ask the name server that listens on loopback for an address of either family.

    Raises:
        OSError: When it cannot be asked.
        ValueError: When it answers something else.
    """
    return any(_ask(port, name, kind) for kind in _KINDS)


def _ask(port: int, name: str, kind: int) -> bool:
    number = secrets.randbelow(1 << 16)
    with socket.create_connection(("127.0.0.1", port), _TIMEOUT) as connection:
        connection.sendall(question(name, kind, number))
        (length,) = _PREFIX.unpack(_exactly(connection, _PREFIX.size))
        return is_known(_exactly(connection, length), number)


def _exactly(connection: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        more = connection.recv(count - len(data))
        if not more:
            raise ValueError("an answer that is cut short")
        data += more
    return data
