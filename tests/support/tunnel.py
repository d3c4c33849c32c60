# SPDX-License-Identifier: Apache-2.0
"""A proxy that knows CONNECT and nothing else, as stands between many a cluster and the world.

It resolves the names of its targets itself: what it leads to need not be known to its clients.
"""

import shutil
import socket
import socketserver
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

_ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"
_REFUSED = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"


@dataclass(slots=True, kw_only=True)
class Tunnel:
    """A running one.

    Attributes:
        url: Its own address, for `HTTPS_PROXY`.
        leads: By target (`name:port`), the port of this machine that it stands for.
        asked: The targets that were asked for, in order.
    """

    url: str
    leads: Mapping[str, int]
    asked: list[str] = field(default_factory=list)


@contextmanager
def tunnel(leads: Mapping[str, int]) -> Iterator[Tunnel]:
    """Run a proxy on loopback that leads to these targets and refuses all others."""
    with _Server(("127.0.0.1", 0), _Handler) as server:
        server.tunnel = Tunnel(url=f"http://127.0.0.1:{server.server_address[1]}", leads=leads)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server.tunnel
        finally:
            server.shutdown()
            thread.join()


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    tunnel: Tunnel


class _Handler(socketserver.StreamRequestHandler):
    server: _Server

    def handle(self) -> None:
        method, target, *_ = self.rfile.readline(1024).decode().split()
        while self.rfile.readline(8192).strip():
            pass
        self.server.tunnel.asked.append(target)
        port = self.server.tunnel.leads.get(target)
        if method != "CONNECT" or port is None:
            self.wfile.write(_REFUSED)
            return
        with socket.create_connection(("127.0.0.1", port)) as there:
            self.wfile.write(_ESTABLISHED)
            back = threading.Thread(target=_pour, args=(there, self.connection), daemon=True)
            back.start()
            _pour(self.connection, there)
            back.join()


def _pour(source: socket.socket, into: socket.socket) -> None:
    """Hand on what comes, and its end."""
    with suppress(OSError):
        with source.makefile("rb", buffering=0) as read, into.makefile("wb", buffering=0) as write:
            shutil.copyfileobj(read, write)
        into.shutdown(socket.SHUT_WR)
