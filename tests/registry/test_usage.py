# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from cais_registry.model.names import Tag
from cais_registry.services import usage
from cais_registry.services.core import Core
from cais_registry.stores import total_rows
from core_support import REPO, World, push_image

SECOND = timedelta(seconds=1)


class Counted:
    """Counts how often the registry is counted."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.times = 0
        self._real = total_rows.totals
        monkeypatch.setattr(usage, "totals", self)

    def __call__(self, connection: Any) -> Any:
        self.times += 1
        return self._real(connection)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Counted:
    return Counted(monkeypatch)


async def settle(core: Core) -> None:
    """Wait for the count that goes on, if one does."""
    if core.usage._counting is not None:
        await core.usage._counting


async def test_uploads_and_blobs_are_counted(tmp_path: Path) -> None:
    async with World(tmp_path).open() as core:
        await push_image(core, "one", "v1", layers=[bytes(4000)])
        await core.uploads.start(REPO, None)
        report = await core.usage.report()
        assert (report.blobs, report.uploads) == (2, 1)


async def test_nothing_is_counted_again_while_nothing_is_written(
    tmp_path: Path, counted: Counted
) -> None:
    world = World(tmp_path)
    async with world.open() as core:
        await push_image(core, "one", "v1")
        first = await core.usage.report()
        for _ in range(3):
            world.clock.forward(3600 * SECOND)
            report = await core.usage.report()
            assert report.tags == first.tags
            assert report.counted_at > first.counted_at  # it is known to be true still
        assert counted.times == 1


async def test_what_was_written_is_counted_after_some_seconds(
    tmp_path: Path, counted: Counted
) -> None:
    world = World(tmp_path)
    async with world.open() as core:
        await push_image(core, "one", "v1")
        await core.usage.report()
        await push_image(core, "two", "v2")
        assert (await core.usage.report()).tags == 1
        world.clock.forward(6 * SECOND)
        assert (await core.usage.report()).tags == 2
        assert counted.times == 2


async def test_a_scrape_does_not_wait_and_makes_nobody_count_more_than_once_a_minute(
    tmp_path: Path, counted: Counted
) -> None:
    world = World(tmp_path)
    async with world.open() as core:
        await push_image(core, "one", "v1")
        assert (await core.usage.recent()).tags == 1  # the first one has to wait
        await core.manifests.delete(REPO, Tag("v1"))
        for _ in range(3):
            world.clock.forward(15 * SECOND)
            assert (await core.usage.recent()).tags == 1
            await settle(core)
        assert counted.times == 1
        world.clock.forward(16 * SECOND)
        assert (await core.usage.recent()).tags == 1  # what is known, while it is counted anew
        await settle(core)
        assert (await core.usage.recent()).tags == 0
        assert counted.times == 2


async def test_a_count_that_fails_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path)
    async with world.open() as core:
        await push_image(core, "one", "v1")
        await core.usage.recent()
        await push_image(core, "two", "v2")
        with monkeypatch.context() as broken:
            broken.setattr(usage, "totals", lambda _: 1 / 0)
            world.clock.forward(61 * SECOND)
            assert (await core.usage.recent()).tags == 1
            with pytest.raises(ZeroDivisionError):
                await settle(core)
        assert (await core.usage.recent()).tags == 1
        await settle(core)
        assert (await core.usage.recent()).tags == 2
