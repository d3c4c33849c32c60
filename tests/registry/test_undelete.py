# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from cais_registry.model.digest import Digest
from cais_registry.model.errors import ManifestUnknown, NameUnknown, Unsupported
from cais_registry.model.limits import Limits
from cais_registry.model.names import RepoName, Tag
from cais_registry.services.core import Core
from core_support import (
    HOUR,
    OTHER,
    REPO,
    World,
    collect,
    count,
    image,
    index,
    push_blob,
    push_image,
    put,
)

V1, V2 = Tag("v1"), Tag("v2")
MINUTE = timedelta(minutes=1)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "data")


async def references(core: Core, repo: RepoName = REPO) -> list[str]:
    return [one.reference for one in (await core.undelete.list(repo, limit=100)).items]


async def tags(core: Core) -> tuple[str, ...]:
    return (await core.tags.list(REPO, limit=100)).items


async def test_a_deleted_tag_comes_back(world: World) -> None:
    async with world.open() as core:
        content = await push_image(core, "one", "v1", "v2")
        await core.manifests.delete(REPO, V1)
        assert await references(core) == ["v1"]
        restored = await core.undelete.bring_back(REPO, V1)
        assert (restored.digest, restored.tags) == (Digest.of(content), ("v1",))
        assert await tags(core) == ("v1", "v2")
        assert await references(core) == []


async def test_the_last_tag_brings_its_manifest_and_layers_back_to_stay(world: World) -> None:
    async with world.open() as core:
        content = await push_image(core, "one", "v1", layers=[b"layer"])
        world.clock.forward(HOUR)
        await core.manifests.delete(REPO, V1)
        world.clock.forward(HOUR - MINUTE)
        await core.undelete.bring_back(REPO, V1)
        world.clock.forward(3 * HOUR)
        await collect(core)
        assert (await core.manifests.get(REPO, V1)).content == content
        (await core.blobs.open(REPO, Digest.of(b"layer"))).content.close()


async def test_a_manifest_comes_back_with_the_tags_that_went_with_it(world: World) -> None:
    async with world.open() as core:
        digest = Digest.of(await push_image(core, "one", "v1", "v2"))
        await core.manifests.delete(REPO, Tag("v2"))  # went earlier, by itself
        world.clock.forward(MINUTE)
        await core.manifests.delete(REPO, digest)
        assert await references(core) == [str(digest), "v1", "v2"]
        restored = await core.undelete.bring_back(REPO, digest)
        assert (restored.tags, restored.taken, restored.manifests) == (("v1",), (), 1)
        assert await tags(core) == ("v1",)


async def test_a_tag_of_a_deleted_manifest_brings_both_back(world: World) -> None:
    async with world.open() as core:
        content = await push_image(core, "one", "v1", "v2")
        await core.manifests.delete(REPO, Digest.of(content))
        await core.undelete.bring_back(REPO, V2)
        assert (await core.manifests.get(REPO, V2)).content == content
        assert await tags(core) == ("v2",)


async def test_an_index_comes_back_with_all_it_lists_also_what_was_deleted_after_it(
    world: World,
) -> None:
    async with world.open() as core:
        child = await push_image(core, "child")
        inner = index(child)
        await put(core, inner)
        outer = index(inner)
        await put(core, outer, "v1")
        blob = Digest.of(b'{"name": "child"}')
        for content in (outer, inner, child):
            await core.manifests.delete(REPO, Digest.of(content))
        await core.blobs.delete(REPO, blob)
        restored = await core.undelete.bring_back(REPO, V1)
        assert restored.manifests == 3
        world.clock.forward(5 * HOUR)
        await collect(core)
        for content in (outer, inner, child):
            assert (await core.manifests.get(REPO, Digest.of(content))).content == content
        (await core.blobs.open(REPO, blob)).content.close()


async def test_bringing_back_twice_changes_nothing_more(world: World) -> None:
    async with world.open() as core:
        digest = Digest.of(await push_image(core, "one", "v1"))
        await core.manifests.delete(REPO, digest)
        await core.undelete.bring_back(REPO, digest)
        for reference in (digest, V1):
            again = await core.undelete.bring_back(REPO, reference)
            assert (again.digest, again.tags, again.manifests) == (digest, (), 0)


async def test_a_tag_that_points_elsewhere_now_is_left_alone(world: World) -> None:
    async with world.open() as core:
        digest = Digest.of(await push_image(core, "one", "v1", "v2"))
        await core.manifests.delete(REPO, digest)
        newer = Digest.of(await push_image(core, "two", "v1"))
        with pytest.raises(Unsupported, match=f"v1 of team/app points at {newer} now"):
            await core.undelete.bring_back(REPO, V1)
        restored = await core.undelete.bring_back(REPO, digest)
        assert (restored.tags, restored.taken) == (("v2",), ("v1",))
        assert (await core.manifests.stat(REPO, V1)).digest == newer


async def never(core: Core) -> None:
    del core


async def deleted_and_collected(core: Core) -> None:
    await core.manifests.delete(REPO, Digest.of(image(b"{}")))


@pytest.mark.parametrize("before", [never, deleted_and_collected])
@pytest.mark.parametrize("reference", [V1, Digest.of(image(b"{}"))])
async def test_what_was_never_there_or_is_collected_does_not_come_back(
    world: World, before: Callable[[Core], object], reference: Tag | Digest
) -> None:
    async with world.open() as core:
        await push_image(core, "other", "v2")
        if before is deleted_and_collected:
            await push_blob(core, b"{}")
            await put(core, image(b"{}"), "v1")
            await deleted_and_collected(core)
            world.clock.forward(2 * HOUR)
            await collect(core)
        with pytest.raises(ManifestUnknown, match="can come back"):
            await core.undelete.bring_back(REPO, reference)
        assert await tags(core) == ("v2",)


async def test_an_unknown_repository_has_nothing_to_bring_back(world: World) -> None:
    async with world.open() as core:
        with pytest.raises(NameUnknown):
            await core.undelete.list(OTHER, limit=1)
        with pytest.raises(NameUnknown):
            await core.undelete.bring_back(OTHER, V1)


async def test_an_index_whose_part_is_lost_does_not_come_back_in_part(world: World) -> None:
    async with world.open() as core:
        child = await push_image(core, "child")
        parent = index(child)
        await put(core, parent, "v1")
        await core.manifests.delete(REPO, Digest.of(parent))
        await core.manifests.delete(REPO, Digest.of(child))
        await core.database.write(
            lambda connection: connection.execute(
                "DELETE FROM manifest WHERE digest = :digest", {"digest": str(Digest.of(child))}
            )
        )
        with pytest.raises(Unsupported, match="a part of it"):
            await core.undelete.bring_back(REPO, V1)
        assert await tags(core) == ()
        assert await count(core, "manifest WHERE deleted_at IS NULL") == 0


async def test_a_sparse_index_comes_back_without_what_it_never_had(tmp_path: Path) -> None:
    world = World(tmp_path / "data", limits=Limits(sparse_manifests=True))
    async with world.open() as core:
        content = index(image(b"never pushed"))
        await put(core, content, "v1")
        await core.manifests.delete(REPO, V1)
        await core.manifests.delete(REPO, Digest.of(content))
        await core.undelete.bring_back(REPO, V1)
        assert await tags(core) == ("v1",)


async def test_what_can_come_back_is_listed_in_pages(world: World) -> None:
    async with world.open() as core:
        names = [f"v{number}" for number in range(5)]
        await push_image(core, "one", *names, "stays")
        for name in names:
            await core.manifests.delete(REPO, Tag(name))
        seen: list[str] = []
        last: str | None = None
        while True:
            page = await core.undelete.list(REPO, limit=2, last=last)
            seen += [one.reference for one in page.items]
            last = page.last
            if last is None:
                break
        assert seen == names
        assert {one.reason for one in page.items} == {"tag deleted"}
