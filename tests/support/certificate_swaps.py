# SPDX-License-Identifier: Apache-2.0
"""Certificates that are swapped under a running server, and clients that keep asking it."""

from __future__ import annotations

import http.client
import ssl
import threading
from datetime import datetime
from pathlib import Path
from typing import Self

from support.issuing import issuer, key_pem, new_key
from support.registry import Server, make_certificate, wait_until

UNHURRIED = ("-m", "support.unhurried_server")
CLIENTS = 3
PER_SECOND = 20
"""Requests of one client that keeps its connection."""


def served(server: Server) -> str:
    """The certificate that a new connection gets."""
    return ssl.get_server_certificate(server.address)


def publish(folder: Path, name: str, end: datetime | None = None) -> Path:
    """Make a certificate and publish it as the kubelet does: by swapping a link."""
    made = folder / f"..{name}"
    made.mkdir()
    if end is None:
        cert, key = make_certificate(made, name)
        cert.rename(made / "tls.crt")
        key.rename(made / "tls.key")
    else:
        private = new_key()
        (made / "tls.crt").write_text(issuer().sign(private, "127.0.0.1", end=end))
        (made / "tls.key").write_text(key_pem(private))
    link = folder / "..new"
    link.symlink_to(made.name)
    link.replace(folder / "..data")
    return made / "tls.crt"


def make_secret(folder: Path) -> Path:
    """A mounted Secret with a certificate."""
    secret = folder / "tls"
    secret.mkdir()
    publish(secret, "first")
    for name in ("tls.crt", "tls.key"):
        (secret / name).symlink_to(f"..data/{name}")
    return secret


def flags(secret: Path) -> list[str]:
    return ["--tls-cert", str(secret / "tls.crt"), "--tls-key", str(secret / "tls.key")]


def wait_for_another(server: Server, old: str) -> None:
    wait_until(lambda: served(server) != old, what="the new certificate is served")


def ping(connection: http.client.HTTPConnection, path: str = "/v2/") -> str | None:
    """Send a request; return what the answer says of the connection."""
    connection.request("GET", path)
    answer = connection.getresponse()
    answer.read()
    assert answer.status == 200
    return answer.headers["Connection"]


class Client:
    """Sends requests until told to stop, and none twice.

    One with a rate keeps its connection until an answer says that it is closed; the others make one
    for each request, and ask without a pause.
    """

    def __init__(self, server: Server, path: str, rate: int | None = None) -> None:
        self.count = 0
        self.failures: list[Exception] = []
        self._server, self._path, self._stop = server, path, threading.Event()
        self._pause = None if rate is None else 1 / rate
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        connection = self._server.connect()
        while not self._stop.wait(self._pause or 0):
            try:
                ping(connection, self._path)
            except (OSError, AssertionError, http.client.HTTPException) as error:
                self.failures.append(error)
                connection.close()
            self.count += 1
            if self._pause is None or connection.sock is None:
                connection.close()
                connection = self._server.connect()  # trusts what is trusted now
        connection.close()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


def wait_for_more(clients: list[Client], count: int = 20) -> None:
    """Until each has been answered so many times more."""
    before = [one.count for one in clients]
    wait_until(
        lambda: all(one.count >= old + count for one, old in zip(clients, before, strict=True)),
        what="more requests were answered",
    )
