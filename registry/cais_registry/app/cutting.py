# SPDX-License-Identifier: Apache-2.0
"""Ends connections of clients that do not take what they asked for.

The HTTP server has no order for it: told that an answer is over, it first waits until the client
has taken what was handed over before.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from contextlib import suppress
from pathlib import Path
from typing import Final

from cais_registry.http.requests import Peer

_AT_ONCE: Final = struct.pack("ii", 1, 0)
"""`SO_LINGER`: what was not taken yet is thrown away."""


class Scissors:
    """Cuts connections; those that are to be cut at the same time cost one search."""

    def __init__(self) -> None:
        self._wanted: set[Peer] = set()
        self._search: asyncio.Task[None] | None = None

    def cut(self, peer: Peer) -> None:
        """End the connection to a peer soon; one that has gone is none."""
        self._wanted.add(peer)
        if self._search is None:
            self._search = asyncio.get_running_loop().create_task(self._cut_wanted())

    async def _cut_wanted(self) -> None:
        try:
            while self._wanted:
                peers, self._wanted = self._wanted, set()
                await asyncio.to_thread(cut_all, peers)
        finally:
            self._search = None


def cut_all(peers: set[Peer]) -> None:
    """Shut down every connection of this process whose other side is one of these."""
    for link in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # closed meanwhile, or no connection
            if os.readlink(link).startswith("socket:"):  # noqa: PTH115 - not a path
                _cut_one(int(link.name), peers)


def _cut_one(descriptor: int, peers: set[Peer]) -> None:
    """The copy is the same connection, also if its number is given to another one meanwhile."""
    copy = os.dup(descriptor)
    try:
        connection = socket.socket(fileno=copy)
    except OSError:  # it was given to something else
        os.close(copy)
        return
    with connection:
        if connection.getpeername()[:2] in peers:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
            connection.shutdown(socket.SHUT_RDWR)
