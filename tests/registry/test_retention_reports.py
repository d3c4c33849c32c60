# SPDX-License-Identifier: Apache-2.0
"""Reports of runs, and what a dry run counts, are bounded."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from cais_registry.model.policy import Policy
from cais_registry.stores import gc_review
from core_support import HOUR, World, collect, count, push_image
from retention_support import report, set_rules


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "data", policy=Policy(push_lease=HOUR, undelete_window=HOUR))


async def test_reports_of_old_runs_are_forgotten(world: World) -> None:
    set_rules(world, {"keepTags": ["v*"], "dryRun": True})
    async with world.open() as core:
        await push_image(core, "one", "a", "b")
        first = await core.collector.start()
        await core.collector.wait()
        for _ in range(4):
            world.clock.forward(HOUR)
            assert len(await report(core)) == 2
        assert await core.collector.report(first.id, after=0, limit=9) == []
        assert await count(core, "gc_report") == 6


async def test_counting_what_would_go_is_bounded_and_the_list_and_the_run_are_not(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gc_review, "MOST_COUNTED", 5)
    world.policy = replace(world.policy, undelete_window=HOUR * 0)
    set_rules(world, {"keepTags": ["v*"]})
    async with world.open() as core:
        for number in range(20):
            await push_image(core, f"image {number}", f"t{number}")
        dry = await collect(core, dry_run=True)
        assert (dry.tags_deleted, dry.manifests_deleted, dry.blobs_deleted) == (20, 5, 5)
        assert len(await core.collector.report(dry.id, after=0, limit=100)) == 20
        run = await collect(core)
        assert (run.tags_deleted, run.manifests_deleted, run.blobs_deleted) == (20, 20, 20)
