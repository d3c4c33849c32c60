# SPDX-License-Identifier: Apache-2.0
"""Starts the real server as a child process, and talks to it without any client library."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import bcrypt

DEADLINE = 60.0
PROGRAM = ("-m", "cais_registry")
OCI_IMAGE = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"


def wait_until(condition: Callable[[], Any], *, what: str, deadline: float = DEADLINE) -> Any:
    """Ask again and again until the answer is true; return it."""
    end, pause = time.monotonic() + deadline, threading.Event()
    while time.monotonic() < end:
        answer = condition()
        if answer:
            return answer
        pause.wait(0.02)
    raise AssertionError(f"not within {deadline} s: {what}")


def digest_of(content: bytes, algorithm: str = "sha256") -> str:
    return f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}"


def htpasswd(**users: str) -> str:
    """A file of users; bcrypt as cheap as it can be."""
    return "".join(f"{user}:{hashed(password)}\n" for user, password in users.items())


def hashed(password: str, cost: int = 4) -> str:
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(cost)).decode()


def make_certificate(folder: Path, name: str = "server") -> tuple[Path, Path]:
    """Write a self-signed certificate for loopback and its PKCS#8 key."""
    cert, key = folder / f"{name}.crt", folder / f"{name}.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-keyout", key, "-out", cert, "-subj", f"/CN={name}", "-days", "2",
         "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"],
        check=True, capture_output=True,
    )  # fmt: skip
    return cert, key


@dataclass(frozen=True, kw_only=True)
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    def __getitem__(self, header: str) -> str | None:
        return self.headers.get(header)

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The code of the OCI error body, which every error has to have."""
        assert self.headers["Content-Type"] == "application/json"
        (error,) = self.json["errors"]
        assert error["message"]
        return str(error["code"])


@dataclass(kw_only=True)
class Server:
    """A running server.

    Attributes:
        process: The parent.
        log: Path of its output.
        url: Where it listens.
        ca: Certificate to trust.
        login: `user:password` that is sent unless a request says otherwise.
    """

    process: subprocess.Popen[bytes]
    log: Path
    url: str = ""
    ca: Path | None = None
    login: str | None = None
    data: Path = field(default_factory=Path)

    @property
    def address(self) -> tuple[str, int]:
        parts = urlsplit(self.url)
        return str(parts.hostname), int(parts.port or 0)

    @property
    def workers(self) -> list[int]:
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in children.read_text().split()] if children.exists() else []

    def memory(self) -> int:
        """Resident bytes of the worker."""
        return self._kibibytes("VmRSS:") * 1024

    def most_memory(self) -> int:
        """The most resident bytes of the worker since `forget_most_memory`."""
        return self._kibibytes("VmHWM:") * 1024

    def forget_most_memory(self) -> None:
        """Begin anew (proc(5), `clear_refs`)."""
        (worker,) = self.workers
        Path(f"/proc/{worker}/clear_refs").write_text("5")

    def _kibibytes(self, name: str) -> int:
        (worker,) = self.workers
        status = Path(f"/proc/{worker}/status").read_text()
        return int(status.partition(name)[2].split()[0])

    def descriptors(self) -> int:
        """Files and connections that the worker has open."""
        (worker,) = self.workers
        return sum(1 for _ in Path(f"/proc/{worker}/fd").iterdir())

    def lines(self) -> list[dict[str, Any]]:
        """What it has logged so far."""
        text = self.log.read_text()
        return [json.loads(line) for line in text.splitlines() if line.startswith("{")]

    def connect(self) -> http.client.HTTPConnection:
        host, port = self.address
        if self.url.startswith("https"):
            context = ssl.create_default_context(cafile=self.ca)
            return http.client.HTTPSConnection(host, port, timeout=DEADLINE, context=context)
        return http.client.HTTPConnection(host, port, timeout=DEADLINE)

    def socket(self) -> socket.socket:
        """A connection to write raw bytes to (plain HTTP only)."""
        return socket.create_connection(self.address, timeout=DEADLINE)

    def ask(  # noqa: PLR0913 - what a request has
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        *,
        login: str | None = "",
        chunked: bool = False,
    ) -> Answer:
        """Send one request on a connection of its own."""
        sent = dict(headers or {})
        who = self.login if login == "" else login
        if who is not None:
            sent["Authorization"] = "Basic " + base64.b64encode(who.encode()).decode()
        connection = self.connect()
        try:
            connection.request(method, path, body=body, headers=sent, encode_chunked=chunked)
            answer = connection.getresponse()
            return Answer(status=answer.status, headers=answer.headers, body=answer.read())
        finally:
            connection.close()

    def push_blob(self, repo: str, content: bytes, **options: Any) -> str:
        digest = digest_of(content)
        answer = self.ask("POST", f"/v2/{repo}/blobs/uploads/?digest={digest}", content, **options)
        assert answer.status == 201, answer.body
        return digest

    def push_image(self, repo: str, tag: str, layer: bytes = b"layer", **fields: Any) -> str:
        """Push a config, a layer and a manifest; return the manifest's digest."""
        config = b"{}"
        manifest = {
            "schemaVersion": 2,
            "mediaType": OCI_IMAGE,
            "config": {
                "mediaType": "application/vnd.oci.image.config.v1+json",
                "digest": self.push_blob(repo, config),
                "size": len(config),
            },
            "layers": [
                {
                    "mediaType": "application/vnd.oci.image.layer.v1.tar",
                    "digest": self.push_blob(repo, layer),
                    "size": len(layer),
                }
            ],
            **fields,
        }
        return self.push_manifest(repo, tag, manifest)

    def push_manifest(self, repo: str, reference: str, manifest: dict[str, Any]) -> str:
        content = json.dumps(manifest).encode()
        kind = {"Content-Type": manifest["mediaType"]}
        answer = self.ask("PUT", f"/v2/{repo}/manifests/{reference}", content, kind)
        assert answer.status == 201, answer.body
        assert answer["Docker-Content-Digest"] == digest_of(content)
        return digest_of(content)

    def wait_ready(self) -> None:
        def is_ready() -> bool:
            assert self.process.poll() is None, self.log.read_text()
            try:
                return self.ask("GET", "/readyz", login=None).status == 200
            except OSError:
                return False

        wait_until(is_ready, what="the server is ready")

    def stop(self) -> int:
        """Ask it to stop, as Kubernetes does; return its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(DEADLINE)


@contextmanager
def running(
    folder: Path,
    *arguments: str | Path,
    config: Any = None,
    login: str | None = None,
    data: Path | None = None,
    program: Sequence[str] = PROGRAM,
) -> Iterator[Server]:
    """Run `cais-registry serve` on a port that the system chooses."""
    if config is not None:
        (folder / "server.yaml").write_text(json.dumps(config))
        arguments = ("--config", folder / "server.yaml", *arguments)
    server = start(folder, *arguments, data=data, program=program)
    server.login = login
    try:
        server.url = wait_until(lambda: _url(server), what="the server says where it listens")
        wait_ca = [str(a) for a in arguments]
        if "--tls-cert" in wait_ca:
            server.ca = Path(wait_ca[wait_ca.index("--tls-cert") + 1])
        server.wait_ready()
        yield server
    finally:
        _end(server)


def start(
    folder: Path,
    *arguments: str | Path,
    data: Path | None = None,
    program: Sequence[str] = PROGRAM,
) -> Server:
    """Start `cais-registry serve` and return at once."""
    log, data = folder / "server.log", data or folder / "data"
    command = [sys.executable, *program, "serve", "--data", str(data)]
    listen = [] if "--listen" in arguments else ["--listen", "127.0.0.1:0"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, *listen, *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
        )
    return Server(process=process, log=log, data=data)


def _url(server: Server) -> str:
    assert server.process.poll() is None, server.log.read_text()
    return next((line["url"] for line in reversed(server.lines()) if "url" in line), "")


def _end(server: Server) -> None:
    workers = server.workers
    server.stop()
    wait_until(lambda: not any(map(is_alive, workers)), what="the workers end")


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that nobody has waited for yet does not."""
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
