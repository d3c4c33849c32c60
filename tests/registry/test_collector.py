# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from cais_registry.model.digest import Digest
from cais_registry.model.errors import ManifestUnknown
from cais_registry.model.names import Tag
from cais_registry.model.policy import Policy
from cais_registry.model.run import RunState
from cais_registry.services.core import Core
from core_support import (
    HOUR,
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

NOW = HOUR * 0


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Deleted things are purged by the next run; promises hold for an hour."""
    return World(tmp_path / "data", policy=Policy(push_lease=HOUR, undelete_window=NOW))


async def there(core: Core, *contents: bytes) -> list[bool]:
    found = []
    for content in contents:
        try:
            await core.manifests.stat(REPO, Digest.of(content))
            found.append(True)
        except ManifestUnknown:
            found.append(False)
    return found


async def test_a_deleted_image_gives_its_bytes_back_in_one_run(world: World) -> None:
    async with world.open() as core:
        content = await push_image(core, "one", "v1", layers=[bytes(5000)])
        await core.manifests.delete(REPO, Tag("v1"))
        run = await collect(core)
        assert (run.manifests_deleted, run.blobs_deleted) == (1, 2)
        assert run.bytes_reclaimed == 5000 + len(b'{"name": "one"}') + len(content)
        assert run.bytes_reclaimable == 0
        assert "deleted 1 manifests and 2 blobs" in run.message
        for table in ("manifest", "blob", "repo_blob", "repository", "tombstone", "gc_queue"):
            assert await count(core, table) == 0, table
        assert await count(core, "deleted_tag") == 0
    assert world.files() == []


@pytest.mark.parametrize("by", ["tag", "digest"])
async def test_what_was_deleted_is_kept_for_the_window(world: World, by: str) -> None:
    world.policy = replace(world.policy, undelete_window=HOUR)
    async with world.open() as core:
        content = await push_image(core, "one", "v1")
        await core.manifests.delete(REPO, Tag("v1") if by == "tag" else Digest.of(content))
        for _ in range(3):
            world.clock.forward(HOUR * 0.3)
            run = await collect(core)
            assert (run.manifests_deleted, run.blobs_deleted) == (0, 0)
            assert run.bytes_reclaimable == len(b'{"name": "one"}') + len(content)
        world.clock.forward(HOUR * 0.2)
        assert (await collect(core)).manifests_deleted == 1
    assert world.files() == []


async def test_a_shorter_window_counts_from_the_next_run_on(world: World) -> None:
    world.policy = replace(world.policy, undelete_window=HOUR * 1000)
    async with world.open() as core:
        await push_image(core, "one", "v1")
        await core.manifests.delete(REPO, Tag("v1"))
        world.clock.forward(HOUR)
        assert (await collect(core)).manifests_deleted == 0
        world.policy = replace(world.policy, undelete_window=NOW)
        assert (await collect(core)).manifests_deleted == 1


async def test_layers_that_others_use_are_kept(world: World) -> None:
    async with world.open() as core:
        await push_image(core, "one", "v1", layers=[b"base", b"top"])
        kept = await push_image(core, "two", "v2", layers=[b"base"])
        await core.manifests.delete(REPO, Tag("v1"))
        assert (await collect(core)).blobs_deleted == 2
        assert await there(core, kept) == [True]
        await core.blobs.stat(REPO, Digest.of(b"base"), promise=False)


async def test_manifests_that_never_had_a_tag_or_lost_it_to_another_are_kept(
    world: World,
) -> None:
    async with world.open() as core:
        untagged = await push_image(core, "untagged")
        before = await push_image(core, "before", "latest")
        after = await push_image(core, "after", "latest")
        world.clock.forward(HOUR * 100)
        run = await collect(core)
        assert run.manifests_deleted == 0
        assert await there(core, untagged, before, after) == [True, True, True]
        assert await count(core, "manifest WHERE untagged_at IS NOT NULL") == 1


@pytest.mark.parametrize("tags", [["v2"], []])
async def test_a_manifest_that_was_pushed_again_is_kept(world: World, tags: list[str]) -> None:
    world.policy = replace(world.policy, undelete_window=HOUR)
    async with world.open() as core:
        content = await push_image(core, "one", "v1")
        await core.manifests.delete(REPO, Tag("v1"))
        await put(core, content, *tags)
        world.clock.forward(HOUR * 5)
        assert (await collect(core)).manifests_deleted == 0
        assert await there(core, content) == [True]


async def test_children_of_a_kept_index_are_kept_whatever_their_tags_did(world: World) -> None:
    async with world.open() as core:
        child = await push_image(core, "child", "c")
        whole = index(child)
        await put(core, whole, "v1")
        await core.manifests.delete(REPO, Tag("c"))
        world.clock.forward(HOUR * 100)
        await collect(core)
        assert await there(core, child, whole) == [True, True]
        await core.manifests.delete(REPO, Tag("v1"))
        assert (await collect(core)).manifests_deleted == 2
    assert world.files() == []


async def test_an_index_takes_what_only_it_held_along(world: World) -> None:
    async with world.open() as core:
        shared = await push_image(core, "shared")
        tagged = await push_image(core, "tagged", "t")
        lone = await push_image(core, "lone")
        inner = index(lone)
        await put(core, inner)
        outer, other = index(inner, shared, tagged), index(shared, more=1)
        await put(core, outer, "outer")
        await put(core, other, "other")
        await core.manifests.delete(REPO, Digest.of(outer))
        await collect(core)
        assert await there(core, outer, inner, lone) == [False, False, False]
        assert await there(core, other, shared, tagged) == [True, True, True]


async def test_many_children_and_deep_indexes_go_in_one_run(world: World) -> None:
    async with world.open() as core:
        children = [await push_image(core, f"child {i}") for i in range(250)]
        content = index(*children)
        await put(core, content)
        for _ in range(30):
            content = index(content)
            await put(core, content)
        await put(core, content, "v1")
        await core.manifests.delete(REPO, Tag("v1"))
        run = await collect(core)
        assert (run.manifests_deleted, run.blobs_deleted) == (281, 250)
    assert world.files() == []


@pytest.mark.parametrize("known", [True, False])
async def test_referrers_are_kept_with_their_subject_and_go_with_it(
    world: World, known: bool
) -> None:
    async with world.open() as core:
        await push_blob(core, b"{}")
        config = b'{"name": "one"}'
        subject = image(config)
        signature = image(b"{}", subject=subject)
        if not known:
            await put(core, signature)
        await push_image(core, "one", "v1")
        if known:
            await put(core, signature)
        above = image(b"{}", subject=signature)
        await put(core, above)
        world.clock.forward(HOUR * 2)
        await collect(core)
        assert await there(core, subject, signature, above) == [True] * 3
        await core.manifests.delete(REPO, Digest.of(subject))
        await collect(core)
        assert await there(core, subject, signature, above) == [False] * 3


async def test_a_referrer_whose_tag_was_deleted_stays_with_its_subject(world: World) -> None:
    async with world.open() as core:
        subject = await push_image(core, "one", "v1")
        await push_blob(core, b"{}")
        signature = image(b"{}", subject=subject)
        await put(core, signature, "sig")
        await core.manifests.delete(REPO, Tag("sig"))
        world.clock.forward(HOUR * 5)
        await collect(core)
        assert await there(core, signature) == [True]
        await core.manifests.delete(REPO, Digest.of(subject))
        await collect(core)
        assert await there(core, signature) == [False]


async def test_a_tagged_referrer_outlives_its_subject(world: World) -> None:
    async with world.open() as core:
        subject = await push_image(core, "one", "v1")
        await push_blob(core, b"{}")
        signature = image(b"{}", subject=subject)
        await put(core, signature, "sig")
        await core.manifests.delete(REPO, Digest.of(subject))
        await collect(core)
        assert await there(core, signature) == [True]


@pytest.mark.parametrize("suffix", ["", ".sig", ".att", ".sbom"])
async def test_what_is_attached_by_tag_goes_with_its_digest(world: World, suffix: str) -> None:
    async with world.open() as core:
        subject = await push_image(core, "one", "v1")
        name = f"sha256-{Digest.of(subject).encoded}{suffix}"
        signature = await push_image(core, "signature", name)
        both = await push_image(core, "other", "kept", f"sha256-{'0' * 64}{suffix}")
        world.clock.forward(HOUR * 2)
        await collect(core)
        assert await there(core, signature, both) == [True, True]
        await core.manifests.delete(REPO, Tag("v1"))
        dry = await collect(core, dry_run=True)
        run = await collect(core)
        assert run.manifests_deleted == dry.manifests_deleted == 2
        assert await there(core, subject, signature, both) == [False, False, True]
        assert (await core.tags.list(REPO, limit=10)).items == (
            "kept",
            f"sha256-{'0' * 64}{suffix}",
        )


async def test_a_push_that_goes_on_is_safe_from_a_run_in_between(world: World) -> None:
    async with world.open() as core:
        for content in (b"{}", b"layer"):
            await push_blob(core, content)
            world.clock.forward(HOUR * 0.4)
            await collect(core)
        child = image(b"{}", b"layer")
        await put(core, child)
        await collect(core)
        await put(core, index(child), "v1")
        world.clock.forward(HOUR * 10)
        await collect(core)
        assert await there(core, child) == [True]


async def test_blobs_that_no_manifest_came_for_go_after_the_lease(world: World) -> None:
    async with world.open() as core:
        await push_blob(core, b"layer")
        assert (await collect(core)).blobs_deleted == 0
        world.clock.forward(HOUR * 1.1)
        assert (await collect(core)).blobs_deleted == 1
    assert world.files() == []


async def test_a_manifest_promised_to_a_pusher_is_kept_for_the_lease(world: World) -> None:
    async with world.open() as core:
        child = await push_image(core, "child")
        await put(core, index(child), "v1")
        await core.manifests.stat(REPO, Digest.of(child), promise=True)
        await core.manifests.delete(REPO, Tag("v1"))
        await collect(core)
        assert await there(core, child) == [True]
        world.clock.forward(HOUR * 1.1)
        await collect(core)
        assert await there(core, child) == [False]


async def test_blobs_of_a_deleted_index_of_blobs_go(world: World) -> None:
    async with world.open() as core:
        await push_blob(core, b"layer")
        await put(core, index(b"layer"), "cache")
        await core.manifests.delete(REPO, Tag("cache"))
        assert (await collect(core)).blobs_deleted == 1


async def test_a_dry_run_counts_what_a_run_then_does_and_changes_nothing(world: World) -> None:
    async with world.open() as core:
        kept = await push_image(core, "kept", "kept", layers=[b"base"])
        child = await push_image(core, "child", layers=[b"base", bytes(3000)])
        whole = index(child)
        await put(core, whole, "v1")
        await push_blob(core, b"sig")
        await put(core, image(b"sig", subject=whole))
        await push_image(core, "att", f"sha256-{Digest.of(whole).encoded}.att")
        await core.manifests.delete(REPO, Tag("v1"))
        world.clock.forward(HOUR * 2)
        files = world.files()
        dry = await collect(core, dry_run=True)
        assert world.files() == files
        assert dry.dry_run
        assert "would delete" in dry.message
        assert await core.collector.last() is None
        run = await collect(core)
        assert dry.manifests_deleted == run.manifests_deleted == 4
        assert dry.blobs_deleted == run.blobs_deleted == 4
        assert dry.bytes_reclaimed == run.bytes_reclaimed > 3000
        assert await there(core, kept) == [True]


async def test_one_run_at_a_time_in_all_workers(world: World) -> None:
    async with world.open() as core, world.open() as other:
        await push_image(core, "one", "v1")
        first = await core.collector.start()
        assert (await core.collector.start()).id == first.id
        assert (await other.collector.start()).id == first.id
        current = await other.collector.current()
        assert current is not None
        assert current.state is RunState.RUNNING
        await core.collector.wait()
        assert await other.collector.current() is None
        last = await other.collector.last()
        assert last is not None
        assert last.id == first.id
        success = await core.collector.last_success()
        assert success == last
        assert await core.collector.run("unknown") is None


def refuse(keys: list[str]) -> list[str]:
    """A disk on which nothing can be deleted."""
    return keys[len(keys) :]


async def test_a_run_that_fails_says_why_and_the_next_one_goes_on(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world.open() as core:
        await push_image(core, "one", "v1")
        await core.manifests.delete(REPO, Tag("v1"))
        with monkeypatch.context() as patched:
            patched.setattr(vars(core.store)["_files"], "delete", refuse)
            started = await core.collector.start()
            await core.collector.wait()
        failed = await core.collector.run(started.id)
        assert failed is not None
        assert failed.state is RunState.FAILED
        assert "could not be deleted" in failed.message
        assert await core.collector.last() == failed
        assert await core.collector.last_success() is None
        assert len(world.files()) == 2
        await collect(core)
    assert world.files() == []


async def test_a_run_ends_with_its_server_and_is_marked_failed(world: World) -> None:
    async with world.open() as core:
        await push_image(core, "one", "v1")
        await core.manifests.delete(REPO, Tag("v1"))
        started = await core.collector.start()
    async with world.open() as core:
        assert await core.collector.current() is None
        ended = await core.collector.run(started.id)
        assert ended is not None
        assert ended.state is RunState.FAILED
        assert "server was stopped" in ended.message
        world.clock.forward(HOUR)
        await collect(core)
    assert world.files() == []


async def test_runs_are_remembered_up_to_a_bound(world: World) -> None:
    async with world.open() as core:
        for _ in range(105):
            last = await collect(core)
        assert await count(core, "gc_run") == 100
        assert await core.collector.last() == last


async def test_expired_uploads_are_counted_and_dropped_by_a_run(world: World) -> None:
    async with world.open() as core:
        await core.uploads.start(REPO, None)
        world.clock.forward(world.policy.upload_ttl * 1.1)
        assert (await collect(core, dry_run=True)).uploads_expired == 1
        assert (await collect(core)).uploads_expired == 1
        assert (await collect(core)).uploads_expired == 0


async def test_pushes_go_on_while_garbage_is_collected(world: World) -> None:
    async with world.open() as core:
        for number in range(60):
            await push_image(core, f"old {number}", f"old{number}", layers=[b"base"])
        for number in range(60):
            await core.manifests.delete(REPO, Tag(f"old{number}"))
        await core.collector.start()
        pushed = await asyncio.gather(
            *(push_image(core, f"new {n}", f"new{n}", layers=[b"base"]) for n in range(20))
        )
        await core.collector.wait()
        await collect(core)
        assert await there(core, *pushed) == [True] * 20
        await core.blobs.stat(REPO, Digest.of(b"base"), promise=False)
        assert await count(core, "blob") == 21


async def test_work_is_in_proportion_to_what_changed(world: World) -> None:
    async with world.open() as core:
        for number in range(30):
            await push_image(core, f"kept {number}", f"kept{number}")
        world.clock.forward(HOUR * 2)
        await collect(core)
        assert await count(core, "gc_queue") == 0
        await core.manifests.delete(REPO, Tag("kept3"))
        assert await count(core, "gc_queue") == 1


async def test_usage_tells_what_is_held_and_what_can_be_given_back(world: World) -> None:
    async with world.open() as core:
        content = await push_image(core, "one", "v1", "v2", layers=[bytes(4000)])
        config = len(b'{"name": "one"}')
        report = await core.usage.report()
        assert (report.repositories, report.tags, report.bytes) == (
            1,
            2,
            4000 + config + len(content),
        )
        assert report.bytes_reclaimable == 0
        assert 0 < report.disk_available <= report.disk_capacity
        world.policy = replace(world.policy, undelete_window=HOUR)
        await core.manifests.delete(REPO, Digest.of(content))
        world.clock.forward(HOUR / 2)
        report = await core.usage.report()
        assert (report.repositories, report.tags) == (0, 0)
        assert report.bytes_reclaimable == 4000 + config + len(content)


async def test_usage_right_after_a_collection_knows_what_it_gave_back(world: World) -> None:
    async with world.open() as core:
        await push_image(core, "one", "v1", layers=[bytes(5000)])
        await core.manifests.delete(REPO, Tag("v1"))
        assert (await core.usage.report()).bytes > 5000
        await collect(core)
        assert (await core.usage.report()).bytes == 0
