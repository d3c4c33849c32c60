# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from cais_registry.model.names import Tag
from cais_registry.model.policy import Policy
from cais_registry.model.run import RunState
from cais_registry.services.core import Core
from core_support import HOUR, REPO, World, collect, count, push_image


async def fail(core: Core) -> None:
    started = await core.collector.start()
    await core.collector.wait()
    ended = await core.collector.run(started.id)
    assert ended is not None
    assert ended.state is RunState.FAILED


def breaks_at(first: str) -> Callable[[str], None]:
    def check(step: str) -> None:
        if step == first:
            raise OSError(step)

    return check


async def test_what_is_buried_is_deleted_beside_the_decisions_even_if_these_fail(
    tmp_path: Path,
) -> None:
    policy = Policy(push_lease=HOUR, undelete_window=HOUR * 0)
    world = World(tmp_path / "data", policy=policy, failpoint=breaks_at("R1"))
    async with world.open() as core:
        await push_image(core, "one", "v1")
        await core.manifests.delete(REPO, Tag("v1"))
        await fail(core)
        assert await count(core, "tombstone") > 0
    world.failpoint = breaks_at("review manifest")
    async with world.open() as core:
        await fail(core)
        assert await count(core, "tombstone") == 0
    world.failpoint = lambda _: None
    async with world.open() as core:
        await collect(core)
        assert world.files() == []
