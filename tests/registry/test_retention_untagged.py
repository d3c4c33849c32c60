# SPDX-License-Identifier: Apache-2.0
"""Manifests without a tag go after `untaggedAfter`, unless something holds them."""

from __future__ import annotations

from pathlib import Path

import pytest

from cais_registry.model.digest import Digest
from cais_registry.model.names import Tag
from cais_registry.model.policy import Policy
from cais_registry.services import retention
from cais_registry.services.core import Core
from core_support import HOUR, REPO, World, collect, count, image, index, push_blob, push_image, put
from retention_support import goes, report, set_rules

RULE = {"untaggedAfter": "10h"}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "data", policy=Policy(push_lease=HOUR, undelete_window=HOUR))


def names(*contents: bytes) -> set[str]:
    return {str(Digest.of(content)) for content in contents}


async def test_one_that_lost_its_tag_to_another_goes_counted_from_then_on(world: World) -> None:
    set_rules(world, RULE)
    async with world.open() as core:
        before = await push_image(core, "before", "latest")
        world.clock.forward(HOUR * 100)
        await push_image(core, "after", "latest")
        world.clock.forward(HOUR * 9.9)
        assert await goes(core) == set()
        world.clock.forward(HOUR * 0.2)
        (line,) = await report(core)
        assert (line.kind, line.reference) == ("manifest", str(Digest.of(before)))
        assert line.reason == (
            "retention[0]: untagged 2027-01-19T12:00Z, more than 10h ago, in no kept index"
        )
        run = await core.collector.last()
        assert run is not None
        assert (run.untagged_deleted, run.manifests_deleted) == (1, 0)
        world.clock.forward(HOUR * 1.1)
        assert (await collect(core)).manifests_deleted == 1


async def test_one_that_never_had_a_tag_is_counted_from_its_push(world: World) -> None:
    set_rules(world, RULE)
    async with world.open() as core:
        content = await push_image(core, "untagged")
        world.clock.forward(HOUR * 9.9)
        assert await goes(core) == set()
        world.clock.forward(HOUR * 0.2)
        (line,) = await report(core)
        assert line.reference == str(Digest.of(content))
        assert "never tagged, pushed 2027-01-15T08:00Z" in line.reason


async def test_one_that_has_a_tag_again_is_kept_and_a_later_loss_counts_anew(world: World) -> None:
    set_rules(world, RULE)
    async with world.open() as core:
        content = await push_image(core, "one", "latest")
        await push_image(core, "two", "latest")
        world.clock.forward(HOUR * 9)
        await put(core, content, "again")
        world.clock.forward(HOUR * 9)
        assert await goes(core) == set()
        await push_image(core, "three", "again")
        world.clock.forward(HOUR * 9)
        assert await goes(core) == set()
        world.clock.forward(HOUR * 2)
        assert await goes(core) == names(content)


@pytest.mark.parametrize("how", ["tag", "digest"])
async def test_one_that_was_deleted_and_pushed_again_without_a_tag_counts_from_that_push(
    world: World, how: str
) -> None:
    set_rules(world, RULE)
    async with world.open() as core:
        content = await push_image(core, "one", "v1")
        world.clock.forward(HOUR * 20)
        await core.manifests.delete(REPO, Tag("v1") if how == "tag" else Digest.of(content))
        await put(core, content)
        world.clock.forward(HOUR * 9)
        assert await goes(core) == set()
        world.clock.forward(HOUR * 2)
        assert await goes(core) == names(content)


async def test_without_a_time_untagged_manifests_are_kept(world: World) -> None:
    set_rules(world, {"keepLast": 1})
    async with world.open() as core:
        await push_image(core, "untagged")
        world.clock.forward(HOUR * 1000)
        assert await goes(core) == set()


async def test_children_of_a_kept_index_are_kept_at_any_depth_and_go_with_it(
    world: World,
) -> None:
    set_rules(world, RULE)
    async with world.open() as core:
        child = await push_image(core, "child")
        content = child
        levels = []
        for _ in range(5):
            content = index(content)
            levels.append(content)
            await put(core, content)
        await put(core, content, "v1")
        world.clock.forward(HOUR * 100)
        assert await goes(core) == set()
        await push_image(core, "next", "v1")
        world.clock.forward(HOUR * 11)
        assert await goes(core) == names(content)
        world.clock.forward(HOUR * 1.1)
        assert (await collect(core)).manifests_deleted == 6


async def test_referrers_of_a_kept_subject_are_kept_and_go_with_it(world: World) -> None:
    set_rules(world, RULE)
    async with world.open() as core:
        subject = await push_image(core, "one", "v1")
        await push_blob(core, b"{}")
        signature = image(b"{}", subject=subject)
        await put(core, signature)
        above = image(b"{}", subject=signature)
        await put(core, above)
        lone = image(b"{}", subject=image(b"not here"))
        await put(core, lone)
        world.clock.forward(HOUR * 100)
        assert await goes(core) == names(lone)
        await core.manifests.delete(REPO, Tag("v1"))
        world.clock.forward(HOUR * 2)
        assert await goes(core) == set()
        assert await count(core, "manifest") == 0


async def test_one_that_a_pusher_was_told_exists_is_kept_for_the_lease(world: World) -> None:
    set_rules(world, {"untaggedAfter": "0s"})
    async with world.open() as core:
        content = await push_image(core, "one")
        assert await goes(core) == set()
        world.clock.forward(HOUR * 0.9)
        await core.manifests.stat(REPO, Digest.of(content), promise=True)
        world.clock.forward(HOUR * 0.9)
        assert await goes(core) == set()
        await put(core, index(content), "v1")
        world.clock.forward(HOUR * 2)
        assert await goes(core) == set()


async def bind(core: Core, parent: bytes, child: bytes) -> None:
    await core.database.write(
        lambda connection: connection.execute(
            "INSERT INTO manifest_child (repo_id, parent_digest, child_digest)"
            " SELECT id, :parent, :child FROM repository",
            {"parent": str(Digest.of(parent)), "child": str(Digest.of(child))},
        )
    )


async def test_cycles_and_self_references_end(world: World) -> None:
    """Digests make them impossible; a damaged database must not make a run endless."""
    set_rules(world, {**RULE, "keepTags": ["v*"], "keepPulledWithin": "1h"})
    async with world.open() as core:
        first, second = await push_image(core, "one"), await push_image(core, "two")
        alone, tagged = await push_image(core, "three"), await push_image(core, "four", "t")
        for parent, child in (
            (first, second),
            (second, first),
            (alone, alone),
            (tagged, first),
            (tagged, tagged),
        ):
            await bind(core, parent, child)
        world.clock.forward(HOUR * 20)
        assert await goes(core) == {"t", *names(alone)}


async def test_huge_fan_outs_are_dealt_with_in_small_steps(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "_PAGE", 10)
    monkeypatch.setattr(retention, "_BATCH", 4)
    set_rules(world, RULE)
    async with world.open() as core:
        children = [await push_image(core, f"child {number}") for number in range(60)]
        await put(core, index(*children[:30]), "v1")
        world.clock.forward(HOUR * 20)
        lines = await report(core)
        assert {line.reference for line in lines} == names(*children[30:])
        assert len(lines) == 30


@pytest.mark.parametrize("act", ["tag", "list", "head"])
async def test_one_that_is_used_between_decision_and_deletion_is_kept(
    world: World, act: str
) -> None:
    set_rules(world, RULE)
    async with world.open() as core:
        content = await push_image(core, "one")
        world.clock.forward(HOUR * 20)
        keeper = vars(core.collector)["_keeper"]
        take = keeper._take_untagged

        async def hurry(*parts: object) -> None:
            match act:
                case "tag":
                    await put(core, content, "v1")
                case "list":
                    await put(core, index(content), "v1")
                case _:
                    await core.manifests.stat(REPO, Digest.of(content), promise=True)
            await take(*parts)

        keeper._take_untagged = hurry
        assert await goes(core) == set()
        assert await count(core, "manifest WHERE deleted_at IS NOT NULL") == 0


async def test_what_came_back_counts_anew(world: World) -> None:
    set_rules(world, RULE)
    async with world.open() as core:
        content = await push_image(core, "one")
        world.clock.forward(HOUR * 20)
        assert await goes(core) == names(content)
        await core.undelete.bring_back(REPO, Digest.of(content))
        world.clock.forward(HOUR * 9)
        assert await goes(core) == set()
        world.clock.forward(HOUR * 2)
        assert await goes(core) == names(content)
