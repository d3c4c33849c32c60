# SPDX-License-Identifier: Apache-2.0
"""A scrape in which everything is known, and what is read from a scrape's text."""

from __future__ import annotations

from datetime import UTC, datetime

from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from cais_registry.http.deps import Facts
from cais_registry.http.scrape import Known, Scrape
from cais_registry.http.stats import Done, Stats
from cais_registry.model.run import Run, RunState, RunTotals
from cais_registry.services.usage import UsageReport
from cais_registry.stores.writer import WriteCounts

NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)
RUN = Run(
    id="r",
    state=RunState.SUCCEEDED,
    dry_run=False,
    started_at=NOON,
    finished_at=NOON,
    duration_seconds=1.5,
)
USAGE = UsageReport(
    counted_at=round(NOON.timestamp() * 1e6),
    repositories=1,
    tags=2,
    blobs=3,
    uploads=5,
    bytes_reclaimable=6,
    bytes=4,
    quota=9,
    disk_capacity=8,
    disk_available=7,
)


def done(kind: str = "manifest", method: str = "GET", status: int = 200, **sizes: float) -> Done:
    values = {"seconds": 0.02, "received": 0, "sent": 5, **sizes}
    return Done(kind=kind, method=method, status=status, **values)  # type: ignore[arg-type]


def scrape(*requests: Done, known: bool = True) -> Scrape:
    stats = Stats()
    for one in requests or (done(), done("blob", "PUT", 201)):
        stats.count(one)
    return Scrape(
        stats=stats,
        logins={"success": 2, "failure": 1},
        writes=WriteCounts(writes=3, transactions=2, seconds=0.5, waiting=1),
        runs=RunTotals(succeeded=1),
        facts=Facts(version="1", database="sqlite", storage="files", certificate_expiry=9.0),
        is_configured=True,
        snapshot_at=8.0,
        known=Known(usage=USAGE, is_collecting=False, last=RUN, last_success=RUN)
        if known
        else None,
    )


def families(text: bytes | str) -> dict[str, Metric]:
    """The metrics of a scrape by the name of their samples, `_bucket` and the like taken off."""
    decoded = text.decode() if isinstance(text, bytes) else text
    found = text_string_to_metric_families(decoded)
    return {
        family.name + ("_total" if family.type == "counter" else ""): family for family in found
    }


def value(text: bytes, name: str, **labels: str) -> float:
    """The value of one sample; fails if there is none, or more."""
    (found,) = (
        sample.value
        for family in families(text).values()
        for sample in family.samples
        if sample.name == name and sample.labels == labels
    )
    return float(found)
