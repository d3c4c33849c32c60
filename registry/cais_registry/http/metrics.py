# SPDX-License-Identifier: Apache-2.0
"""Turns what is known into Prometheus's text; imported at the first scrape only.

Names and labels are a promise (docs/operations.md lists them). No label has a value that a client
chooses: routes, methods, statuses and outcomes are few.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate
from typing import Final, TypeAlias

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from cais_registry.http import gauges
from cais_registry.http.scrape import Scrape
from cais_registry.http.stats import BUCKETS, Key, Series, Stats
from cais_registry.model.run import RunTotals
from cais_registry.stores.writer import WriteCounts

_BOUNDS: Final = (*map(str, BUCKETS), "+Inf")
_OUTCOMES: Final = ("success", "failure", "throttled")
_Single: TypeAlias = tuple[str, str, float]


def render(scrape: Scrape) -> bytes:
    """Write all metrics in the text format 0.0.4."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(scrape))
    ProcessCollector(registry=registry)
    return generate_latest(registry)


class _Collector(Collector):
    def __init__(self, scrape: Scrape) -> None:
        self._scrape = scrape

    def collect(self) -> Iterator[Metric]:
        scrape = self._scrape
        yield from _requests(scrape.stats)
        yield _logins(scrape.logins)
        yield from _runs(scrape.runs)
        yield from _counters(_writes(scrape.writes))
        yield from gauges.families(scrape)


def _requests(stats: Stats) -> Iterator[Metric]:
    count = CounterMetricFamily(
        "cais_http_requests", "Answered requests.", labels=("route", "method", "status")
    )
    for (route, method, status), series in sorted(stats.series.items()):
        count.add_metric((route, method, str(status)), sum(series.counts))
    yield count
    yield _durations(stats.series.items())
    received = CounterMetricFamily(
        "cais_http_received_bytes", "Bytes of request bodies.", labels=("route",)
    )
    sent = CounterMetricFamily(
        "cais_http_sent_bytes", "Bytes of response bodies.", labels=("route",)
    )
    for route in sorted({route for route, _, _ in stats.series}):
        all_series = [s for (name, _, _), s in stats.series.items() if name == route]
        received.add_metric((route,), sum(series.received for series in all_series))
        sent.add_metric((route,), sum(series.sent for series in all_series))
    yield from (received, sent)


def _durations(series: Iterable[tuple[Key, Series]]) -> Metric:
    """One histogram for each route, method and class of status."""
    family = HistogramMetricFamily(
        "cais_http_request_duration_seconds",
        "Time from a request's first byte to the answer's last.",
        labels=("route", "method", "status_class"),
    )
    merged: dict[tuple[str, str, str], tuple[list[int], float]] = {}
    for (route, method, status), one in series:
        key = (route, method, f"{status // 100}xx")
        counts, seconds = merged.get(key, ([0] * len(one.counts), 0.0))
        summed = [a + b for a, b in zip(counts, one.counts, strict=True)]
        merged[key] = (summed, seconds + one.seconds)
    for key, (counts, seconds) in sorted(merged.items()):
        buckets = list(zip(_BOUNDS, map(float, accumulate(counts)), strict=True))
        family.add_metric(key, buckets=buckets, sum_value=seconds)
    return family


def _logins(outcomes: Mapping[str, int]) -> Metric:
    family = CounterMetricFamily(
        "cais_logins",
        "Passwords and tokens that were checked; what was right minutes ago is not checked again.",
        labels=("outcome",),
    )
    for outcome in _OUTCOMES:
        family.add_metric((outcome,), outcomes.get(outcome, 0))
    return family


def _runs(runs: RunTotals) -> Iterator[Metric]:
    count = CounterMetricFamily(
        "cais_gc_runs", "Garbage collections that have ended, no dry runs.", labels=("outcome",)
    )
    count.add_metric(("succeeded",), runs.succeeded)
    count.add_metric(("failed",), runs.failed)
    deleted = CounterMetricFamily(
        "cais_gc_deleted", "What garbage collection has deleted.", labels=("kind",)
    )
    deleted.add_metric(("manifest",), runs.manifests)
    deleted.add_metric(("blob",), runs.blobs)
    deleted.add_metric(("upload",), runs.uploads)
    deleted.add_metric(("tag",), runs.tags)
    yield from (count, deleted)
    yield from _counters(
        (
            ("cais_gc_run_seconds", "How long garbage collections took.", runs.seconds),
            ("cais_gc_reclaimed_bytes", "Bytes that garbage collection gave back.", runs.bytes),
        )
    )


def _writes(writes: WriteCounts) -> Iterator[_Single]:
    yield "cais_database_writes", "Writes to the database.", writes.writes
    yield (
        "cais_database_transactions",
        "Commits: writes that wait for the disk at the same time share one.",
        writes.transactions,
    )
    yield "cais_database_transaction_seconds", "Time that commits took.", writes.seconds


def _counters(singles: Iterable[_Single]) -> Iterator[Metric]:
    for name, text, value in singles:
        yield CounterMetricFamily(name, text, value=value)
