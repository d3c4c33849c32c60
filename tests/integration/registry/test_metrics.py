# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from prometheus_client import Metric

from cais_registry.http import metrics
from support.registry import Server, htpasswd, make_certificate, running, wait_until
from support.scraped import families, scrape, value


@contextmanager
def watched(folder: Path) -> Iterator[Server]:
    """A server with users and TLS, so that there is nothing that it cannot tell."""
    cert, key = make_certificate(folder)
    (folder / "users").write_text(htpasswd(admin="a"))
    flags = ("--tls-cert", cert, "--tls-key", key, "--htpasswd", folder / "users")
    with running(folder, *flags, config={"quota": 10**9}, login="admin:a") as server:
        yield server


def read(server: Server) -> bytes:
    return server.ask("GET", "/metrics", login=None).body


def of_the_server(found: dict[str, Metric]) -> set[str]:
    return {name for name in found if name.startswith("cais_")}


def test_a_scrape_tells_everything_that_can_be_told(tmp_path: Path) -> None:
    with watched(tmp_path) as server:
        server.push_image("a", "v1")
        server.ask("POST", "/cais/v1/gc")
        wait_until(lambda: server.ask("GET", "/cais/v1/gc").json["last"], what="the run ends")

        def is_snapshot_taken() -> bool:
            return b"\ncais_database_snapshot_timestamp_seconds" in read(server)

        wait_until(is_snapshot_taken, what="the database was copied")
        text = read(server)
    expected = of_the_server(families(metrics.render(scrape())))
    assert of_the_server(families(text)) == expected
    assert len(expected) > 25
    labels = {"route": "manifest", "method": "PUT", "status": "201"}
    assert value(text, "cais_http_requests_total", **labels) == 1
    assert value(text, "cais_gc_runs_total", outcome="succeeded") == 1
    assert value(text, "cais_logins_total", outcome="success") == 1
    assert value(text, "cais_http_requests_in_flight") == 1
    assert value(text, "cais_database_up") == 1
    assert b"a/v1" not in text


def test_no_label_has_what_a_client_chose(tmp_path: Path) -> None:
    with watched(tmp_path) as server:
        for method in ("BREW", "GET", "DELETE"):
            for path in ("/evil-path", "/v2/evil-name/manifests/evil-tag", "/v2/", "/cais/v1/evil"):
                server.ask(method, path, headers={"User-Agent": "evil-agent"})
        server.ask("GET", "/v2/", login="evil-user:x")
        text = read(server)
    assert b"evil" not in text
    assert b"BREW" not in text
    labels = {"route": "other", "method": "other", "status": "404"}
    assert value(text, "cais_http_requests_total", **labels) > 0


def test_the_certificate_that_is_served_is_told_until_when(tmp_path: Path) -> None:
    name = "cais_certificate_expiry_timestamp_seconds"
    with watched(tmp_path) as server:
        first = value(read(server), name)
        start = value(read(server), "process_start_time_seconds")
        assert 0 < first - start < 2 * 86400 + 60
    (tmp_path / "plain").mkdir()
    with running(tmp_path / "plain") as server:
        assert name not in families(read(server))
