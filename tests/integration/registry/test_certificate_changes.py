# SPDX-License-Identifier: Apache-2.0
"""Certificates that change while transfers run, and SIGHUP."""

from __future__ import annotations

import http.client
import os
import signal
import ssl
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from support.certificate_swaps import (
    CLIENTS,
    PER_SECOND,
    UNHURRIED,
    Client,
    flags,
    make_secret,
    ping,
    publish,
    served,
    wait_for_another,
    wait_for_more,
)
from support.registry import Server, digest_of, htpasswd, running, wait_until
from support.transfers import download

CONTENT = bytes(range(256)) * 65536  # 16 MiB: more than all buffers on the way
HALF = len(CONTENT) // 2


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    return make_secret(tmp_path)


@pytest.fixture
def unhurried(monkeypatch: pytest.MonkeyPatch) -> tuple[str, ...]:
    """A program that looks at its files when it is told to."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    return UNHURRIED


@contextmanager
def half(server: Server, method: str, path: str) -> Iterator[http.client.HTTPConnection]:
    """Send half of a body."""
    uploads = server.data / "uploads"
    before = sum(path.stat().st_size for path in uploads.iterdir())
    with closing(server.connect()) as connection:
        connection.putrequest(method, path)
        connection.putheader("Content-Length", str(len(CONTENT)))
        connection.endheaders(CONTENT[:HALF])

        def is_there() -> bool:
            return sum(path.stat().st_size for path in uploads.iterdir()) > before

        wait_until(is_there, what="the upload has begun")
        yield connection


def ended(connection: http.client.HTTPConnection, header: str) -> tuple[int, str | None]:
    """Send the other half; return the answer's status and what one header tells."""
    connection.send(CONTENT[HALF:])
    with connection.getresponse() as answer:
        answer.read()
        return answer.status, answer.headers[header]


def swap(server: Server, secret: Path, name: str, end: datetime | None = None) -> None:
    server.ca = publish(secret, name, end)
    new = server.ca.read_text()
    wait_until(lambda: served(server) == new, what="the new certificate is served")


def of_the_new_worker(server: Server, stack: ExitStack) -> http.client.HTTPResponse:
    """Begin a download from the worker whose certificate is trusted.

    For a moment the one before takes connections, too.
    """
    begun: list[http.client.HTTPResponse] = []

    def is_begun() -> bool:
        with suppress(ssl.SSLCertVerificationError):
            begun.append(stack.enter_context(download(server, CONTENT)))
        return bool(begun)

    wait_until(is_begun, what="the new worker serves")
    return begun[0]


def has_logged(server: Server, words: str) -> bool:
    return any(words in line["message"] for line in server.lines() if "message" in line)


def test_transfers_run_on_while_certificates_change_again_and_again(
    tmp_path: Path, secret: Path
) -> None:
    with running(tmp_path, *flags(secret)) as server, ExitStack() as stack:
        server.push_blob("a", CONTENT)
        (first,) = server.workers
        place = server.ask("POST", "/v2/a/blobs/uploads/")["Location"] or ""
        whole = f"/v2/b/blobs/uploads/?digest={digest_of(CONTENT)}"
        reading = stack.enter_context(download(server, CONTENT))
        pushing = stack.enter_context(half(server, "POST", whole))
        patching = stack.enter_context(half(server, "PATCH", place))
        swap(server, secret, "second")
        later = of_the_new_worker(server, stack)
        swap(server, secret, "third")
        assert first in server.workers
        publish(secret, "fourth")  # is not served while it would end one of the two
        wait_until(lambda: has_logged(server, "as soon as one of 2 workers"), what="it waits")
        assert len(server.workers) == 3

        assert ended(pushing, "Docker-Content-Digest") == (201, digest_of(CONTENT))
        assert ended(patching, "Range") == (202, f"0-{len(CONTENT) - 1}")
        answer = server.ask("PUT", f"{place}?digest={digest_of(CONTENT)}")
        assert answer.status == 201
        assert digest_of(reading.read()) == digest_of(CONTENT)
        fourth = (secret / "tls.crt").read_text()
        wait_until(lambda: served(server) == fourth, what="the fourth certificate is served")
        assert digest_of(later.read()) == digest_of(CONTENT)
        wait_until(lambda: len(server.workers) == 1, what="the old workers have ended")


def test_a_certificate_that_ends_soon_is_replaced_at_the_cost_of_the_eldest_transfer(
    tmp_path: Path, secret: Path
) -> None:
    with running(tmp_path, *flags(secret)) as server, ExitStack() as stack:
        server.push_blob("a", CONTENT)
        (first,) = server.workers
        eldest = stack.enter_context(download(server, CONTENT))
        swap(server, secret, "second")
        later = of_the_new_worker(server, stack)
        swap(server, secret, "third", datetime.now(UTC) + timedelta(minutes=4))
        assert len(server.workers) == 3
        swap(server, secret, "fourth")
        wait_until(lambda: first not in server.workers, what="the eldest worker is ended")
        with pytest.raises((http.client.IncompleteRead, OSError)):
            eldest.read()
        assert digest_of(later.read()) == digest_of(CONTENT)


def test_a_new_worker_that_does_not_come_to_serve_costs_nothing(
    tmp_path: Path, secret: Path, unhurried: tuple[str, ...]
) -> None:
    """What is in the place of the database is none; the old worker has the real one open."""
    with running(tmp_path, *flags(secret), program=unhurried) as server, ExitStack() as stack:
        old, before = server.workers, served(server)
        client = stack.enter_context(Client(server, "/v2/"))
        database, kept = server.data / "metadata.sqlite3", server.data / "kept"
        database.rename(kept)
        database.write_bytes(b"this is no database " * 100)
        trusted = tmp_path / "ca.crt"
        trusted.write_bytes((secret / "tls.crt").read_bytes())
        server.ca = trusted
        with trusted.open("ab") as bundle:
            bundle.write(publish(secret, "second").read_bytes())
        server.process.send_signal(signal.SIGHUP)
        told = "does not serve it: it ended before it was ready; the one before goes on"
        wait_until(lambda: has_logged(server, told), what="it is told")
        wait_until(lambda: server.workers == old, what="the new worker is gone")
        wait_for_more([client])
        assert served(server) == before

        kept.replace(database)
        server.process.send_signal(signal.SIGHUP)
        wait_for_another(server, before)
        wait_for_more([client])
        assert client.failures == []


def test_sighup_takes_a_new_certificate_at_once_and_breaks_no_request(
    tmp_path: Path, secret: Path, unhurried: tuple[str, ...]
) -> None:
    trusted = tmp_path / "ca.crt"
    trusted.write_bytes((secret / "tls.crt").read_bytes())
    with running(tmp_path, *flags(secret), program=unhurried) as server, ExitStack() as stack:
        server.ca = trusted
        server.push_blob("a", CONTENT)
        old, before = server.workers, served(server)
        reading = stack.enter_context(download(server, CONTENT))
        paced = [Client(server, "/v2/", PER_SECOND) for _ in range(CLIENTS)]
        clients = [stack.enter_context(one) for one in (Client(server, "/v2/"), *paced)]

        server.process.send_signal(signal.SIGHUP)
        wait_until(lambda: has_logged(server, "SIGHUP: all files are looked at"), what="it looks")
        wait_for_more(clients)
        assert (server.workers, served(server)) == (old, before)  # nothing has changed

        with trusted.open("ab") as bundle:
            bundle.write(publish(secret, "second").read_bytes())
        wait_for_more(clients)
        assert served(server) == before
        server.process.send_signal(signal.SIGHUP)
        wait_for_another(server, before)
        wait_for_more(clients)
        assert [one.failures for one in clients] == [[]] * len(clients)
        assert digest_of(reading.read()) == digest_of(CONTENT)


def test_sighup_takes_users_at_once(tmp_path: Path, unhurried: tuple[str, ...]) -> None:
    users = tmp_path / "htpasswd"
    users.write_text(htpasswd(ann="1"))
    arguments = ("--htpasswd", users)
    config = {"access": {"rules": [{"users": ["*"], "repositories": ["**"], "actions": ["pull"]}]}}
    with running(tmp_path, *arguments, config=config, program=unhurried) as server:
        assert server.ask("GET", "/v2/", login="bob:2").status == 401
        users.write_text(htpasswd(bob="2"))
        server.process.send_signal(signal.SIGHUP)
        wait_until(lambda: server.ask("GET", "/v2/", login="bob:2").status == 200, what="bob is in")
        assert server.ask("GET", "/v2/", login="ann:1").status == 401
        os.kill(server.workers[0], signal.SIGHUP)  # one that is sent to all processes harms none
        assert server.ask("GET", "/v2/", login="bob:2").status == 200


def test_an_old_worker_knows_what_was_deleted_through_the_new_one(
    tmp_path: Path, secret: Path, unhurried: tuple[str, ...]
) -> None:
    with running(tmp_path, *flags(secret), program=unhurried) as server, ExitStack() as stack:
        digest = server.push_image("a", "v1", layer=b"gone soon")
        layer = digest_of(b"gone soon")
        paths = [f"/v2/a/manifests/{one}" for one in ("v1", digest)] + [f"/v2/a/blobs/{layer}"]
        busy, *kept = [stack.enter_context(closing(server.connect())) for _ in range(4)]
        for connection in kept:
            connection.connect()
        for path in paths:
            ping(busy, path)  # the old worker has it in memory now
        server.ca = publish(secret, "second")
        server.process.send_signal(signal.SIGHUP)
        wait_until(lambda: ping(busy) == "close", what="the old worker sends its clients away")
        assert [server.ask("DELETE", path).status for path in paths[1:]] == [202, 202]
        for connection, path in zip(kept, paths, strict=True):
            connection.request("GET", path)
            with connection.getresponse() as answer:
                assert (answer.status, answer.headers["Connection"]) == (404, "close"), path
