# SPDX-License-Identifier: Apache-2.0
"""Turns the counts into Prometheus's text; imported at the first scrape only."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from cais_registry.http.stats import BUCKETS, Stats
from cais_registry.services.usage import UsageReport


def render(stats: Stats, usage: UsageReport) -> bytes:
    """Write all metrics in the text format 0.0.4."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Snapshot(stats, usage))
    return generate_latest(registry)


class _Snapshot(Collector):
    def __init__(self, stats: Stats, usage: UsageReport) -> None:
        self._stats = stats
        self._usage = usage

    def collect(self) -> Iterator[Metric]:
        yield self._requests()
        yield self._durations()
        yield CounterMetricFamily(
            "cais_received_bytes", "Bytes of request bodies.", value=self._stats.bytes_received
        )
        yield CounterMetricFamily(
            "cais_sent_bytes", "Bytes of response bodies.", value=self._stats.bytes_sent
        )
        yield GaugeMetricFamily(
            "cais_requests_in_flight", "Requests at this moment.", value=self._stats.in_flight
        )
        yield from self._gauges()

    def _requests(self) -> Metric:
        family = CounterMetricFamily(
            "cais_requests", "Finished requests.", labels=("kind", "method", "status")
        )
        for (kind, method, status), count in sorted(self._stats.requests.items()):
            family.add_metric((kind, method, str(status)), count)
        return family

    def _durations(self) -> Metric:
        family = HistogramMetricFamily(
            "cais_request_duration_seconds", "Time to answer a request.", labels=("kind",)
        )
        bounds = [*(str(bound) for bound in BUCKETS), "+Inf"]
        for kind, durations in sorted(self._stats.durations.items()):
            buckets = list(zip(bounds, accumulate(durations.counts), strict=True))
            family.add_metric((kind,), buckets=buckets, sum_value=durations.seconds)
        return family

    def _gauges(self) -> Iterator[Metric]:
        usage = self._usage
        for name, text, value in (
            ("cais_repositories", "Repositories that hold a manifest.", usage.repositories),
            ("cais_tags", "Tags in all repositories.", usage.tags),
            (
                "cais_stored_bytes",
                "Bytes of all blobs, each counted once, and of all manifests.",
                usage.bytes,
            ),
            (
                "cais_reclaimable_bytes",
                "Bytes that garbage collection can give back, now or after a window.",
                usage.bytes_reclaimable,
            ),
            ("cais_disk_capacity_bytes", "Size of the file system.", usage.disk_capacity),
            ("cais_disk_available_bytes", "Bytes still free.", usage.disk_available),
        ):
            yield GaugeMetricFamily(name, text, value=value)
        if usage.quota is not None:
            yield GaugeMetricFamily(
                "cais_quota_bytes", "Most bytes that may be stored.", value=usage.quota
            )
