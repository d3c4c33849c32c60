# SPDX-License-Identifier: Apache-2.0
"""Real registry servers whose certificates come from Secrets of a real API server, and clients.

Nodes are missing, so we play the kubelet (it brings Secrets into folders, in its own time) and the
network (a ClusterIP is a port on loopback). TLS is real on both sides.
"""

import base64
import http.client
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cais_operator.observed import ServerState
from cais_operator.registry_api import Way
from support import registry
from support.operators import Place
from support.registry import wait_until

_PAUSE = 0.05  # seconds
_PATIENCE = 20  # seconds of a client


@dataclass(slots=True, kw_only=True)
class Mounted:
    """A registry's server, with its TLS Secret mounted as a kubelet does.

    Attributes:
        is_behind: Whether its kubelet brings nothing new at the moment.
    """

    name: str
    place: Place
    folder: Path
    server: registry.Server | None = None
    version: str = ""
    is_behind: bool = False

    @property
    def cluster_ip(self) -> str:
        found: str = (self.place.get("Service", self.name) or {})["spec"]["clusterIP"]
        return found

    @property
    def port(self) -> int:
        assert self.server is not None
        return self.server.address[1]

    def refresh(self) -> None:
        """Bring the Secret into the folder, by swapping a link."""
        secret = self.place.get("Secret", f"{self.name}-tls")
        if (
            secret is None
            or self.is_behind
            or secret["metadata"]["resourceVersion"] == self.version
        ):
            return
        self.version = secret["metadata"]["resourceVersion"]
        made = self.folder / f"..{self.version}"
        made.mkdir(parents=True)
        for key, text in secret["data"].items():
            (made / key).write_bytes(base64.b64decode(text))
        link = self.folder / "..new"
        link.symlink_to(made.name)
        link.replace(self.folder / "..data")

    def start(self) -> None:
        self.refresh()
        for key in ("tls.crt", "tls.key"):
            (self.folder / key).symlink_to(f"..data/{key}")
        work = self.folder.parent / f"{self.name}-work"
        work.mkdir()
        files = ("--tls-cert", self.folder / "tls.crt", "--tls-key", self.folder / "tls.key")
        self.server = registry.start(work, *files)
        self.server.url = wait_until(self._url, what="the server says where it listens")
        wait_until(lambda: self.ask(self.bundle()) is None, what="it answers")

    def _url(self) -> str:
        assert self.server is not None
        return next((line["url"] for line in self.server.lines() if "url" in line), "")

    def bundle(self) -> str:
        """What clients should trust, as it is published now."""
        found: str = (self.place.get("ConfigMap", f"{self.name}-ca") or {})["data"]["ca.crt"]
        return found

    def ask(self, trusted: str) -> str | None:
        """Send one request by a new connection, never again; return why it failed."""
        context = ssl.create_default_context(cadata=trusted)
        host = f"{self.name}.{self.place.team}.svc"
        try:
            with (
                socket.create_connection(("127.0.0.1", self.port), timeout=_PATIENCE) as plain,
                context.wrap_socket(plain, server_hostname=host) as wrapped,
            ):
                head = f"GET /v2/ HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
                wrapped.sendall(head.encode())
                answer = http.client.HTTPResponse(wrapped)
                answer.begin()
                answer.read()
                return None if answer.status == 200 else f"status {answer.status}"
        except (OSError, http.client.HTTPException) as error:
            return f"{type(error).__name__}: {error}"


@dataclass(slots=True, kw_only=True)
class Clients:
    """Ask each server all the time, some with the newest bundle and some with an older one.

    Attributes:
        keep: Seconds for which the slow ones use a bundle before they read it anew.
        failures: What went wrong.
        count: Requests that were answered.
    """

    servers: list[Mounted]
    keep: float
    failures: list[str] = field(default_factory=list)
    count: int = 0
    _stop: threading.Event = field(default_factory=threading.Event)

    def _ask(self, server: Mounted, keep: float) -> None:
        trusted, since = server.bundle(), time.monotonic()
        while not self._stop.wait(_PAUSE):
            if time.monotonic() - since >= keep:
                trusted, since = server.bundle(), time.monotonic()
            failure = server.ask(trusted)
            if failure is not None:
                self.failures.append(f"{server.name}, bundle kept for up to {keep} s: {failure}")
            self.count += 1

    def _refresh(self, server: Mounted, number: int) -> None:
        while not self._stop.wait(0.2 + 0.3 * number):  # kubelets have their own times
            server.refresh()

    @contextmanager
    def asking(self) -> Iterator[None]:
        threads = [
            threading.Thread(target=act, args=(server, argument), daemon=True)
            for number, server in enumerate(self.servers)
            for act, argument in (
                (self._ask, 0.0),
                (self._ask, self.keep),
                (self._refresh, number),
            )
        ]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in threads:
                thread.join()


class SilentApi:
    """The admin API is not asked here."""

    async def state(self, way: Way) -> ServerState:
        return ServerState(error=f"{way.host} is not asked")

    async def collect(self, way: Way, *, dry_run: bool) -> str | None:
        return f"{way.host} does not collect; dry run: {dry_run}"
