# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from cais_registry.model.digest import Digest
from cais_registry.model.errors import TooManyRequests
from cais_registry.model.limits import Limits
from cais_registry.services.core import Core
from cais_registry.services.uploads import UploadRef
from core_support import REPO, World, chunk, collect, count


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "data", limits=Limits(open_uploads=5, open_uploads_per_user=2))


async def begin(core: Core, principal: str | None) -> UploadRef:
    status = await core.uploads.start(REPO, principal)
    return UploadRef(repo=REPO, principal=principal, id=status.id)


async def test_a_user_at_the_limit_is_refused_and_others_are_not(world: World) -> None:
    async with world.open() as core:
        refs = [await begin(core, "ci") for _ in range(2)]
        with pytest.raises(TooManyRequests, match="user 'ci' has 2 uploads"):
            await begin(core, "ci")
        with pytest.raises(TooManyRequests, match="finish or cancel some"):
            await core.uploads.push(REPO, "ci", Digest.of(b"x"), chunk(b"x"))
        await begin(core, "other")
        await begin(core, None)
        assert await count(core, "upload") == 4
        await core.uploads.cancel(refs[0])
        await core.uploads.push(REPO, "ci", Digest.of(b"x"), chunk(b"x"))
        await begin(core, "ci")


async def test_the_registry_has_a_limit_for_all_together(world: World) -> None:
    async with world.open() as core:
        refs = [await begin(core, None) for _ in range(5)]
        with pytest.raises(TooManyRequests, match="the registry has 5 uploads"):
            await begin(core, "ci")
        await core.uploads.append(refs[0], chunk(b"goes on"))
        await core.uploads.finish(refs[0], Digest.of(b"goes on"))
        await begin(core, "ci")


async def test_expiry_makes_room(world: World) -> None:
    async with world.open() as core:
        for _ in range(5):
            await begin(core, None)
        world.clock.forward(world.policy.upload_ttl + timedelta(seconds=1))
        await collect(core)
        await begin(core, "ci")
        assert await count(core, "upload") == 1
