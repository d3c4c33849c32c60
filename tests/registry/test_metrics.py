# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from cais_registry.http import metrics
from cais_registry.http.deps import Deps, LoadedFiles
from cais_registry.http.gate import Gate
from cais_registry.http.patience import Slowest
from cais_registry.http.scrape import take
from cais_registry.http.stats import BUCKETS, Stats
from cais_registry.model.errors import Unavailable
from cais_registry.services.access import OPEN
from core_support import World
from support.scraped import done, families, scrape, value


def test_requests_are_told_by_route_method_and_status() -> None:
    requests = [done(status=200), done(status=200), done(status=206), done(status=404)]
    text = metrics.render(scrape(*requests, done("blob", "PUT", 201)))

    def count(status: str) -> float:
        labels = {"route": "manifest", "method": "GET", "status": status}
        return value(text, "cais_http_requests_total", **labels)

    assert (count("200"), count("206"), count("404")) == (2, 1, 1)


def test_durations_are_told_by_class_of_status() -> None:
    requests = [done(status=200, seconds=0.0005), done(status=206, seconds=30), done(status=404)]
    text = metrics.render(scrape(*requests))
    name, labels = "cais_http_request_duration_seconds", {"route": "manifest", "method": "GET"}
    good = {**labels, "status_class": "2xx"}
    assert value(text, f"{name}_count", **good) == 2
    assert value(text, f"{name}_sum", **good) == 30.0005
    below = [value(text, f"{name}_bucket", le=str(bound), **good) for bound in BUCKETS]
    assert below == [1 if bound < 30 else 2 for bound in BUCKETS]
    assert value(text, f"{name}_bucket", le="+Inf", **good) == 2
    assert value(text, f"{name}_count", **{**labels, "status_class": "4xx"}) == 1


def test_bytes_are_told_by_route() -> None:
    requests = [done("blob", sent=1000), done("blob", status=206, sent=24), done("upload", sent=0)]
    text = metrics.render(scrape(*requests, done("upload", "PUT", 201, sent=0, received=77)))
    assert value(text, "cais_http_sent_bytes_total", route="blob") == 1024
    assert value(text, "cais_http_received_bytes_total", route="upload") == 77


def test_outcomes_that_did_not_happen_are_told_as_0() -> None:
    """An alert on a counter that is not there never fires at its first increase."""
    text = metrics.render(scrape())
    assert value(text, "cais_logins_total", outcome="failure") == 1
    assert value(text, "cais_logins_total", outcome="throttled") == 0
    assert value(text, "cais_gc_runs_total", outcome="failed") == 0


@pytest.mark.parametrize("name", ["cais_tags", "cais_disk_available_bytes", "cais_gc_running"])
def test_what_is_not_known_is_left_out_while_the_database_is_away(name: str) -> None:
    assert name in families(metrics.render(scrape()))
    text = metrics.render(scrape(known=False))
    assert name not in families(text)
    assert value(text, "cais_database_up") == 0
    assert value(text, "cais_database_writes_waiting") == 1


def test_a_process_tells_of_itself() -> None:
    found = families(metrics.render(scrape()))
    assert {
        "process_resident_memory_bytes",
        "process_open_fds",
        "process_start_time_seconds",
        "process_cpu_seconds_total",
    } <= set(found)


async def test_a_scrape_is_answered_while_the_database_is_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(_: object) -> None:
        raise Unavailable("the database is away")

    async with World(tmp_path).open() as core:
        deps = Deps(
            core=core,
            gate=Gate(OPEN, verifier=None, realm=None),
            stats=Stats(),
            access_log=lambda *_: None,
            audit=None,
            notices=tuple,
            facts=scrape().facts,
            loaded=lambda: LoadedFiles(files={}, error=None),
            manifest_bytes=1,
            tags_per_push=1,
            slowest=Slowest(),
            cut=lambda _: None,
        )
        assert (await take(deps)).known is not None
        monkeypatch.setattr(core.database, "read", away)
        assert (await take(deps)).known is None
