# SPDX-License-Identifier: Apache-2.0
"""What a scrape tells, gathered without counting anything anew."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cais_registry.http.deps import Deps, Facts
from cais_registry.http.stats import Stats
from cais_registry.model.errors import RegistryError
from cais_registry.model.run import Run, RunTotals
from cais_registry.services.usage import UsageReport
from cais_registry.stores.writer import WriteCounts


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What only the database can tell.

    Attributes:
        usage: What the registry holds.
        is_collecting: Whether a garbage collection goes on, dry or not.
        last: The last collection, if any.
        last_success: The last one that succeeded, if any.
    """

    usage: UsageReport
    is_collecting: bool
    last: Run | None
    last_success: Run | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scrape:
    """Everything at one moment.

    Attributes:
        stats: Requests of this process.
        logins: Passwords that it has checked, by outcome.
        writes: What it has written.
        runs: What its garbage collections did.
        facts: What it is.
        is_configured: False while a changed file is not taken.
        snapshot_at: When the newest snapshot of the database was taken, if any.
        known: None while the database does not answer.
    """

    stats: Stats
    logins: Mapping[str, int]
    writes: WriteCounts
    runs: RunTotals
    facts: Facts
    is_configured: bool
    snapshot_at: float | None
    known: Known | None


async def take(deps: Deps) -> Scrape:
    """Gather what `/metrics` tells; also while the database is away."""
    return Scrape(
        stats=deps.stats,
        logins=deps.gate.logins,
        writes=deps.core.database.counts(),
        runs=deps.core.collector.totals,
        facts=deps.facts,
        is_configured=deps.loaded().error is None,
        snapshot_at=deps.core.housekeeping.snapshot_at,
        known=await _ask(deps),
    )


async def _ask(deps: Deps) -> Known | None:
    collector = deps.core.collector
    try:
        return Known(
            last=await collector.last(),
            last_success=await collector.last_success(),
            is_collecting=await collector.current() is not None,
            usage=await deps.core.usage.recent(),
        )
    except RegistryError:
        return None
