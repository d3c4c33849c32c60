# SPDX-License-Identifier: Apache-2.0
"""What tests of retention share."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from cais_registry.config.retention import parse
from cais_registry.model.errors import NameUnknown
from cais_registry.model.names import RepoName
from cais_registry.services.core import Core
from cais_registry.stores.report_rows import ReportLine
from core_support import REPO, World, collect


def set_rules(world: World, *rules: dict[str, Any]) -> None:
    """Change the rules, as a new configuration does."""
    retention = parse([{"repositories": ["**"], **rule} for rule in rules])
    assert retention.problems == ()
    world.policy = replace(world.policy, retention=retention)


async def tags(core: Core, repo: RepoName = REPO) -> set[str]:
    """All tags of a repository; none if there is no such."""
    try:
        return set((await core.tags.list(repo, limit=1000)).items)
    except NameUnknown:
        return set()


async def report(core: Core, *, dry_run: bool = False) -> list[ReportLine]:
    """Collect garbage; what retention did in that run, or would do."""
    run = await collect(core, dry_run=dry_run)
    lines: list[ReportLine] = []
    while page := await core.collector.report(run.id, after=lines[-1].n if lines else 0, limit=3):
        lines += page
    return lines


async def goes(core: Core, *, dry_run: bool = False) -> set[str]:
    """Collect garbage; tags and digests that retention takes, or would take."""
    return {line.reference for line in await report(core, dry_run=dry_run)}
