# SPDX-License-Identifier: Apache-2.0
"""A lost database comes back from a snapshot and what is stored, in files or objects."""

from __future__ import annotations

import pytest

from cais_registry.model.digest import Digest
from cais_registry.model.errors import BlobUnknown, BlobUploadUnknown
from cais_registry.model.manifest import OCI_IMAGE, OCI_INDEX
from cais_registry.model.names import RepoName, Tag
from cais_registry.services.core import Core
from core_support import (
    HOUR,
    OTHER,
    REPO,
    World,
    begin_upload,
    chunk,
    collect,
    count,
    descriptor,
    image,
    index,
    push_blob,
    push_image,
    put,
)
from rebuild_support import LAYER, check, has, rebuild, snapshot, world

__all__ = ["world"]


async def push_one_of_each(core: Core, subject: bytes) -> dict[tuple[RepoName, Digest], bytes]:
    """Push more, with tags and without; returns manifests by repository and digest."""
    image_ = await push_image(core, "after", "v1", layers=[LAYER])
    both = index(subject, image_)
    signature = image(b"{}", subject=subject, artifactType="test/signature")
    for repo in (REPO, OTHER):
        await push_blob(core, b"{}", repo)
    await put(core, both, "all")
    await put(core, signature)
    strong = Digest.of(signature, "sha512")
    await core.manifests.put(REPO, strong, signature, OCI_IMAGE)
    elsewhere = await push_image(core, "elsewhere", "v1", repo=OTHER, layers=[LAYER])
    untyped = image(b"{}").replace(b'"mediaType": "%b", "config"' % OCI_IMAGE.encode(), b'"config"')
    await core.manifests.put(OTHER, Tag("untyped"), untyped, OCI_IMAGE)
    return {
        **{(REPO, Digest.of(content)): content for content in (image_, both, signature)},
        **{(OTHER, Digest.of(content)): content for content in (elsewhere, untyped)},
        (REPO, strong): signature,
    }


@pytest.mark.parametrize("with_snapshot", [True, False])
async def test_every_manifest_and_blob_comes_back_with_the_tags_of_the_snapshot(
    world: World, with_snapshot: bool
) -> None:
    async with world.open() as core:
        before = await push_image(core, "before", "v1", layers=[LAYER])
        if with_snapshot:
            await snapshot(world, core)
        pushed = {(REPO, Digest.of(before)): before, **await push_one_of_each(core, before)}
    done = await rebuild(world)
    assert (done.left, done.gone, done.manifests_kept) == (0, 0, int(with_snapshot))
    assert done.manifests_kept + done.manifests_found == len(pushed)
    async with world.open() as core:
        await check(core)
        for (repo, digest), content in pushed.items():
            stored = await core.manifests.get(repo, digest)
            kind = OCI_INDEX if b'"manifests"' in content else OCI_IMAGE
            assert (stored.content, stored.media_type) == (content, kind)
        assert await count(core, "manifest") == len(pushed)
        page = await core.referrers.list(REPO, Digest.of(before), limit=9)
        assert [found.artifact_type for found in page.items] == ["test/signature"] * 2
        assert await count(core, "tag") == int(with_snapshot)
        assert await has(core, "v1") is with_snapshot
        world.clock.forward(50 * HOUR)
        run = await collect(core)
        assert (run.manifests_deleted, run.blobs_deleted) == (0, 0)
        await check(core)


async def test_collections_after_the_snapshot_are_seen_and_damage_nothing(world: World) -> None:
    async with world.open() as core:
        gone = await push_image(core, "gone", "gone", layers=[b"gone" * 99])
        parent = index(gone)
        await put(core, parent, "parent")
        kept = await push_image(core, "kept", "kept", layers=[LAYER])
        await snapshot(world, core)
        for content in (parent, gone):
            await core.manifests.delete(REPO, Digest.of(content))
            world.clock.forward(2 * HOUR)
            await collect(core)
    done = await rebuild(world)
    assert (done.gone, done.left, done.manifests_kept) == (2, 0, 1)
    assert f"{REPO}@{Digest.of(gone)} was garbage collected after the snapshot" in done.notes
    async with world.open() as core:
        await check(core)
        assert await has(core, kept)
        assert await has(core, "kept")
        assert not await has(core, "gone")


async def test_what_was_deleted_comes_back_only_where_it_was_pushed_again(world: World) -> None:
    """The snapshot says deleted; of what was pushed again since, the copy knows better."""
    async with world.open() as core:
        once = await push_image(core, "once", "once")
        twice = await push_image(core, "twice", "twice", layers=[LAYER])
        released = await push_image(core, "released", "released")
        for content in (once, twice):
            await core.manifests.delete(REPO, Digest.of(content))
        await core.manifests.delete(REPO, Tag("released"))
        await core.blobs.delete(REPO, Digest.of(LAYER))
        await snapshot(world, core)
        world.clock.forward(HOUR / 2)
        await push_blob(core, LAYER)
        await put(core, twice, "twice")
        await put(core, released, "released")
    done = await rebuild(world)
    assert (done.left, done.manifests_kept) == (0, 3)
    async with world.open() as core:
        assert [await has(core, c) for c in (once, twice, released)] == [False, True, True]
        world.clock.forward(50 * HOUR)
        assert (await collect(core)).manifests_deleted == 1
        assert [await has(core, c) for c in (once, twice, released)] == [False, True, True]
        assert (await core.blobs.stat(REPO, Digest.of(LAYER), promise=False)).size == len(LAYER)
        await check(core)


async def test_what_was_undeleted_after_the_snapshot_comes_back(world: World) -> None:
    async with world.open() as core:
        whole = await push_image(core, "whole", "whole")
        tagged = await push_image(core, "tagged", "tag")
        await core.manifests.delete(REPO, Digest.of(whole))
        await core.manifests.delete(REPO, Tag("tag"))
        await snapshot(world, core)
        await core.undelete.bring_back(REPO, Digest.of(whole))
        await core.undelete.bring_back(REPO, Tag("tag"))
        await core.housekeeping.tick()
    await rebuild(world)
    async with world.open() as core:
        world.clock.forward(50 * HOUR)
        assert (await collect(core)).manifests_deleted == 0
        assert [await has(core, content) for content in (whole, tagged)] == [True, True]
        await check(core)


async def test_children_of_a_deleted_index_are_not_collected_for_it(world: World) -> None:
    """They may have got tags after the snapshot, which are lost."""
    async with world.open() as core:
        child = await push_image(core, "child", layers=[LAYER])
        parent = index(child)
        await put(core, parent, "parent")
        await core.manifests.delete(REPO, Digest.of(parent))
        await snapshot(world, core)
        await put(core, child, "child")
    await rebuild(world)
    async with world.open() as core:
        world.clock.forward(50 * HOUR)
        assert (await collect(core)).manifests_deleted == 1
        assert await has(core, child)
        await check(core)


async def test_a_layer_without_a_manifest_waits_for_its_push_and_then_goes(world: World) -> None:
    async with world.open() as core:
        await core.uploads.push(REPO, "ci", Digest.of(LAYER), chunk(LAYER))
    done = await rebuild(world)
    assert done.blobs_found == 1
    async with world.open() as core:
        await collect(core)
        assert await count(core, "blob") == 1
        world.clock.forward(2 * HOUR)
        await collect(core)
        assert await count(core, "blob") == 0


async def test_a_manifest_does_not_lend_its_repository_blobs_that_it_never_had(
    world: World,
) -> None:
    """Naming a foreign layer by digest proves nothing; another repository's stays there."""
    secret, ours = b"secret" * 99, b"a foreign layer that came later"
    async with world.open() as core:
        await push_image(core, "one", "v1", repo=OTHER, layers=[secret])
        await push_blob(core, b"{}")
        layers = [
            descriptor(content) | {"urls": ["https://e.example"]} for content in (secret, ours)
        ]
        await put(core, image(b"{}", layers=layers), "v1")
        await push_blob(core, ours)
    await rebuild(world)
    async with world.open() as core:
        with pytest.raises(BlobUnknown):
            await core.blobs.stat(REPO, Digest.of(secret), promise=False)
        await core.blobs.stat(OTHER, Digest.of(secret), promise=False)
        await core.blobs.stat(REPO, Digest.of(ours), promise=False)  # nobody else has it
        world.clock.forward(50 * HOUR)
        await collect(core)
        await core.blobs.stat(REPO, Digest.of(ours), promise=False)


async def test_uploads_end_and_what_had_come_of_them_goes(world: World) -> None:
    async with world.open() as core:
        await push_image(core, "one")
        upload = await begin_upload(core)
        for begin in (0, 500):
            await core.uploads.append(upload, chunk(LAYER[:500], start=begin, length=500))
        await snapshot(world, core)
    await rebuild(world)
    async with world.open() as core:
        await check(core)
        with pytest.raises(BlobUploadUnknown):
            await core.uploads.status(upload)
        assert await core.store.keys("uploads", "", 9)
        await collect(core)
        assert await core.store.keys("uploads", "", 9) == []


async def test_what_was_garbage_when_the_snapshot_was_taken_stays_garbage(world: World) -> None:
    def crash(step: str) -> None:
        if step == "R1":
            raise OSError("the disk is gone")

    world.failpoint = crash
    async with world.open() as core:
        manifest = await push_image(core, "one", layers=[LAYER])
        await core.manifests.delete(REPO, Digest.of(manifest))
        world.clock.forward(2 * HOUR)
        await core.collector.start()
        await core.collector.wait()
        assert await count(core, "tombstone") == 3
        await snapshot(world, core)
    done = await rebuild(world)
    assert (done.manifests_found, done.blobs_found, done.left) == (0, 0, 0)
    world.failpoint = lambda _: None
    async with world.open() as core:
        await collect(core)
        await check(core)
        for folder in ("blobs", "manifests", "uploads"):
            assert await core.store.keys(folder, "", 1) == []
