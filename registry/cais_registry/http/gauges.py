# SPDX-License-Identifier: Apache-2.0
"""The metrics that tell how things stand; what is not known is left out, not 0."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

from prometheus_client.core import GaugeMetricFamily, Metric

from cais_registry.http.deps import Facts
from cais_registry.http.scrape import Known, Scrape
from cais_registry.model.run import Run
from cais_registry.model.space import Space
from cais_registry.services.usage import UsageReport

_Gauge: TypeAlias = tuple[str, str, float | None]


def families(scrape: Scrape) -> Iterator[Metric]:
    """All of them."""
    yield _build(scrape.facts)
    for name, text, value in _gauges(scrape):
        if value is not None:
            yield GaugeMetricFamily(name, text, value=value)


def _build(facts: Facts) -> Metric:
    family = GaugeMetricFamily(
        "cais_build_info", "What serves; always 1.", labels=("version", "database", "storage")
    )
    family.add_metric((facts.version, facts.database, facts.storage), 1)
    return family


def _gauges(scrape: Scrape) -> Iterator[_Gauge]:
    known = scrape.known
    yield "cais_http_requests_in_flight", "Requests at this moment.", scrape.stats.in_flight
    yield (
        "cais_database_writes_waiting",
        "Writes that wait for the database at this moment.",
        scrape.writes.waiting,
    )
    yield (
        "cais_config_last_reload_successful",
        "0 while a changed configuration, users or certificate file is not taken.",
        scrape.is_configured,
    )
    yield (
        "cais_certificate_expiry_timestamp_seconds",
        "Until when the certificate that is served is valid.",
        scrape.facts.certificate_expiry,
    )
    yield (
        "cais_database_snapshot_timestamp_seconds",
        "When the embedded database was last copied to its volume.",
        scrape.snapshot_at,
    )
    yield "cais_database_up", "1 while the database answers.", known is not None
    if known is not None:
        yield from _collections(known)
        yield from _usage(known.usage)


def _collections(known: Known) -> Iterator[_Gauge]:
    yield "cais_gc_running", "1 while a garbage collection goes on.", known.is_collecting
    yield (
        "cais_gc_last_run_timestamp_seconds",
        "When the last garbage collection ended.",
        _ended(known.last),
    )
    yield (
        "cais_gc_last_run_duration_seconds",
        "How long the last garbage collection took.",
        None if known.last is None else known.last.duration_seconds,
    )
    yield (
        "cais_gc_last_success_timestamp_seconds",
        "When the last garbage collection that succeeded ended.",
        _ended(known.last_success),
    )


def _ended(run: Run | None) -> float | None:
    return None if run is None or run.finished_at is None else run.finished_at.timestamp()


def _usage(usage: UsageReport) -> Iterator[_Gauge]:
    yield (
        "cais_usage_timestamp_seconds",
        "When repositories, tags, blobs, uploads and their bytes were counted.",
        usage.counted_at / 1e6,
    )
    yield "cais_repositories", "Repositories that hold a manifest.", usage.repositories
    yield "cais_tags", "Tags in all repositories.", usage.tags
    yield "cais_blobs", "Blobs, each counted once.", usage.blobs
    yield (
        "cais_stored_bytes",
        "Bytes of all blobs, each counted once, and of all manifests.",
        usage.bytes,
    )
    yield "cais_quota_bytes", "Most bytes that may be stored.", usage.quota
    yield "cais_uploads_open", "Uploads that go on, or were left and will expire.", usage.uploads
    yield (
        "cais_reclaimable_bytes",
        "Bytes that garbage collection can give back, now or after a window.",
        usage.bytes_reclaimable,
    )
    if usage.disk_capacity:
        yield from _disk(Space(usage.disk_capacity, usage.disk_available))


def _disk(space: Space) -> Iterator[_Gauge]:
    yield "cais_disk_capacity_bytes", "Size of the file system.", space.capacity
    yield "cais_disk_available_bytes", "Bytes that may still be written to it.", space.available
    yield "cais_disk_reserve_bytes", "Pushes are refused rather than use these.", space.reserve
