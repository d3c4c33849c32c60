# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import socket
import ssl
import subprocess
import threading
from contextlib import ExitStack, closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Self

import pytest

from support.registry import Server, digest_of, make_certificate, running, wait_until


def served(server: Server) -> str:
    """The certificate that a new connection gets."""
    return ssl.get_server_certificate(server.address)


def publish(folder: Path, name: str) -> Path:
    """Make a certificate and publish it as the kubelet does: by swapping a link."""
    made = folder / f"..{name}"
    made.mkdir()
    cert, key = make_certificate(made, name)
    cert.rename(made / "tls.crt")
    key.rename(made / "tls.key")
    link = folder / "..new"
    link.symlink_to(made.name)
    link.replace(folder / "..data")
    return made / "tls.crt"


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    folder = tmp_path / "tls"
    folder.mkdir()
    publish(folder, "first")
    for name in ("tls.crt", "tls.key"):
        (folder / name).symlink_to(f"..data/{name}")
    return folder


def flags(secret: Path) -> list[str]:
    return ["--tls-cert", str(secret / "tls.crt"), "--tls-key", str(secret / "tls.key")]


def wait_for_another(server: Server, old: str) -> None:
    wait_until(lambda: served(server) != old, what="the new certificate is served")


class Loop:
    """Sends requests without a pause until told to stop."""

    def __init__(self, server: Server, trusted: Path, path: str) -> None:
        self.count = 0
        self.failures: list[BaseException | int] = []
        self._server, self._path, self._stop = server, path, threading.Event()
        server.ca = trusted
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                status = self._server.ask("GET", self._path).status
            except OSError as error:
                self.failures.append(error)
            else:
                self.count += 1
                if status != 200:
                    self.failures.append(status)

    def wait_for(self, count: int) -> None:
        wait_until(lambda: self.count > count, what="more requests were answered")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


def test_a_certificate_is_swapped_without_a_failed_request(tmp_path: Path, secret: Path) -> None:
    trusted = tmp_path / "ca.crt"
    trusted.write_bytes((secret / "tls.crt").read_bytes())
    with running(tmp_path, *flags(secret)) as server:
        digest = server.push_blob("a", b"x" * 500_000)
        (old_worker,) = server.workers
        for name in ("second", "third"):
            before = served(server)
            new = publish(secret, name)
            with trusted.open("ab") as bundle:
                bundle.write(new.read_bytes())
            with Loop(server, trusted, f"/v2/a/blobs/{digest}") as loop:
                wait_for_another(server, before)
                done = loop.count
                wait_until(lambda: len(server.workers) == 1, what="the old worker has ended")
                loop.wait_for(done + 20)
            assert loop.failures == []
            assert served(server) == new.read_text()
        assert server.workers != [old_worker]
        found = server.ask("GET", "/cais/v1/config").json
        wanted = digest_of((secret / "tls.crt").read_bytes()).removeprefix("sha256:")
        assert found["files"] == {str(secret / "tls.crt"): wanted}
        assert found["error"] is None


def test_a_running_download_survives_the_swap(tmp_path: Path, secret: Path) -> None:
    content = bytes(range(256)) * 65536  # 16 MiB: more than all buffers on the way
    with running(tmp_path, *flags(secret)) as server:
        digest = server.push_blob("a", content)
        old = served(server)
        connection = server.connect()
        connection.request("GET", f"/v2/a/blobs/{digest}")
        answer = connection.getresponse()
        first = answer.read(1000)
        server.ca = publish(secret, "second")
        wait_for_another(server, old)
        assert first + answer.read() == content
        connection.close()
        wait_until(lambda: len(server.workers) == 1, what="the old worker has ended")


def ping(connection: HTTPConnection) -> str | None:
    """Send a request; return what the answer says of the connection."""
    connection.request("GET", "/v2/")
    answer = connection.getresponse()
    answer.read()
    assert answer.status == 200
    return answer.headers["Connection"]


def test_a_connection_without_a_request_yet_is_answered_after_the_swap(
    tmp_path: Path, secret: Path
) -> None:
    """Such a connection is with the old worker, which must not drop it."""
    with running(tmp_path, *flags(secret)) as server, ExitStack() as stack:
        busy, *waiting = [stack.enter_context(closing(server.connect())) for _ in range(5)]
        for connection in waiting:
            connection.connect()
        server.ca = publish(secret, "second")
        wait_until(lambda: ping(busy) == "close", what="the old worker sends its clients away")
        assert [ping(connection) for connection in waiting] == ["close"] * len(waiting)


def test_a_bad_new_certificate_never_replaces_a_good_one(tmp_path: Path, secret: Path) -> None:
    with running(tmp_path, *flags(secret)) as server:
        old = served(server)
        server.ca = tmp_path / "ca.crt"
        server.ca.write_text(old)
        (secret / "..data" / "tls.crt").write_text("not a certificate")

        def error() -> str | None:
            found: str | None = server.ask("GET", "/cais/v1/config").json["error"]
            return found

        assert "tls" in (wait_until(error, what="it is reported") or "")
        assert served(server) == old
        for worker in server.workers:
            subprocess.run(["kill", "-9", str(worker)], check=True)
        wait_until(lambda: server.workers, what="a new worker")
        server.wait_ready()
        assert served(server) == old


def test_a_key_that_the_tls_library_does_not_know_is_refused_and_ends_no_server(
    tmp_path: Path, secret: Path
) -> None:
    with running(tmp_path, *flags(secret)) as server:
        old = served(server)
        server.ca = tmp_path / "ca.crt"
        server.ca.write_text(old)
        curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-521", "-nodes")
        made = ("-keyout", secret / "new.key", "-out", secret / "new.crt", "-subj", "/CN=x")
        subprocess.run(["openssl", "req", "-x509", *curve, *made], check=True, capture_output=True)
        (secret / "new.key").rename(secret / "..data" / "tls.key")
        (secret / "new.crt").rename(secret / "..data" / "tls.crt")

        def error() -> str:
            return str(server.ask("GET", "/cais/v1/config").json["error"])

        wait_until(lambda: "of a kind that cannot be served" in error(), what="it is reported")
        assert served(server) == old


def test_tls_1_2_is_still_spoken(tmp_path: Path, secret: Path) -> None:
    with running(tmp_path, *flags(secret)) as server:
        context = ssl.create_default_context(cafile=secret / "tls.crt")
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        host, port = server.address
        with (
            socket.create_connection((host, port)) as raw,
            context.wrap_socket(raw, server_hostname=host) as tls,
        ):
            assert tls.version() == "TLSv1.2"
            assert tls.selected_alpn_protocol() is None
