# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import socket
import ssl
import subprocess
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from support.certificate_swaps import (
    CLIENTS,
    PER_SECOND,
    Client,
    flags,
    make_secret,
    ping,
    publish,
    served,
    wait_for_another,
    wait_for_more,
)
from support.registry import digest_of, running, wait_until


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    return make_secret(tmp_path)


def test_a_certificate_is_swapped_without_a_failed_request(tmp_path: Path, secret: Path) -> None:
    """Neither for clients that connect anew, nor for those that keep a connection."""
    trusted = tmp_path / "ca.crt"
    trusted.write_bytes((secret / "tls.crt").read_bytes())
    with running(tmp_path, *flags(secret)) as server:
        server.ca = trusted
        large, small = (server.push_blob("a", b"x" * size) for size in (500_000, 5000))
        (old_worker,) = server.workers
        for name in ("second", "third"):
            before = served(server)
            new = publish(secret, name)
            with trusted.open("ab") as bundle:
                bundle.write(new.read_bytes())
            with ExitStack() as stack:
                kept = [Client(server, f"/v2/a/blobs/{small}", PER_SECOND) for _ in range(CLIENTS)]
                anew = Client(server, f"/v2/a/blobs/{large}")
                clients = [stack.enter_context(one) for one in (anew, *kept)]
                wait_for_another(server, before)
                wait_until(lambda: len(server.workers) == 1, what="the old worker has ended")
                wait_for_more(clients)
            assert [one.failures for one in clients] == [[]] * len(clients)
            assert served(server) == new.read_text()
        assert server.workers != [old_worker]
        found = server.ask("GET", "/cais/v1/config").json
        wanted = digest_of((secret / "tls.crt").read_bytes()).removeprefix("sha256:")
        assert found["files"] == {str(secret / "tls.crt"): wanted}
        assert found["error"] is None


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
