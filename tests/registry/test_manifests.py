# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from cais_registry.model.digest import Digest
from cais_registry.model.errors import (
    DigestInvalid,
    ManifestBlobUnknown,
    ManifestInvalid,
    ManifestTooLarge,
    ManifestUnknown,
    TagInvalid,
    Unsupported,
)
from cais_registry.model.limits import Limits
from cais_registry.model.manifest import DOCKER_IMAGE, OCI_IMAGE, OCI_INDEX
from cais_registry.model.manifest_copy import decode
from cais_registry.model.names import Tag
from cais_registry.services.core import Core
from core_support import (
    OTHER,
    REPO,
    World,
    count,
    descriptor,
    image,
    index,
    push_blob,
    push_image,
    put,
)

V1, V2 = Tag("v1"), Tag("v2")


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "data")


async def tags(core: Core) -> tuple[str, ...]:
    return (await core.tags.list(REPO, limit=100)).items


async def test_a_manifest_comes_back_byte_for_byte_by_tag_and_digest(world: World) -> None:
    async with world.open() as core:
        await push_blob(core, b"{}")
        content = b"\n " + image(b"{}") + b"\n"
        result = await core.manifests.put(REPO, V1, content, OCI_IMAGE)
        digest = Digest.of(content)
        assert (result.digest, result.tags, result.subject) == (digest, (V1,), None)
        for reference in (V1, digest):
            found = await core.manifests.get(REPO, reference)
            assert (found.content, found.media_type) == (content, OCI_IMAGE)
            info = await core.manifests.stat(REPO, reference)
            assert (info.digest, info.size) == (digest, len(content))
        copy = world.data / next(f for f in world.files() if f.startswith("manifests/"))
        assert decode(copy.read_bytes()).content == content


async def test_a_manifest_may_have_a_sha512_digest(world: World) -> None:
    async with world.open() as core:
        await push_blob(core, b"{}")
        digest = Digest.of(image(b"{}"), "sha512")
        await core.manifests.put(REPO, digest, image(b"{}"), OCI_IMAGE, tags=[V1])
        assert (await core.manifests.stat(REPO, V1)).digest == digest


async def test_many_tags_come_with_one_push(world: World) -> None:
    names = [f"t{i:02}" for i in range(30)]
    async with world.open() as core:
        await push_image(core, "one", *names)
        assert await tags(core) == tuple(names)


async def test_a_manifest_of_another_repository_is_unknown(world: World) -> None:
    async with world.open() as core:
        content = await push_image(core, "one", "v1")
        for reference in (V1, Digest.of(content)):
            with pytest.raises(ManifestUnknown):
                await core.manifests.get(OTHER, reference)


async def test_a_push_that_names_what_is_missing_changes_nothing(world: World) -> None:
    async with world.open() as core:
        await push_blob(core, b"{}")
        await push_blob(core, b"elsewhere", OTHER)
        content = image(b"{}", b"elsewhere", b"nowhere")
        with pytest.raises(ManifestBlobUnknown) as refused:
            await core.manifests.put(REPO, V1, content, OCI_IMAGE)
        missing = [{"digest": str(Digest.of(c))} for c in (b"elsewhere", b"nowhere")]
        assert refused.value.detail == missing
        assert await tags(core) == ()
        assert await count(core, "manifest") == 0


async def test_a_missing_subject_is_taken(world: World) -> None:
    async with world.open() as core:
        await push_blob(core, b"{}")
        content = image(b"{}", subject=b"later")
        result = await core.manifests.put(REPO, V1, content, OCI_IMAGE)
        assert result.subject == Digest.of(b"later")


async def test_foreign_layers_need_not_be_there(world: World) -> None:
    layer = {**descriptor(b"far"), "urls": ["https://example.com/far"]}
    document = {"schemaVersion": 2, "config": descriptor(b"{}"), "layers": [layer]}
    async with world.open() as core:
        await push_blob(core, b"{}")
        await core.manifests.put(REPO, V1, json.dumps(document).encode(), OCI_IMAGE)


async def test_an_index_needs_its_children_unless_sparse_ones_are_taken(world: World) -> None:
    async with world.open() as core:
        child = await push_image(core, "child")
        await put(core, index(child), "v1")
        with pytest.raises(ManifestBlobUnknown):
            await put(core, index(child, b"missing"))
    world.limits = Limits(sparse_manifests=True)
    async with world.open() as core:
        await put(core, index(child, b"missing"))


async def test_an_index_may_list_blobs(world: World) -> None:
    async with world.open() as core:
        await push_blob(core, b"layer")
        await put(core, index(b"layer"), "cache")
        with pytest.raises(Unsupported):
            await core.blobs.delete(REPO, Digest.of(b"layer"))


async def test_a_digest_in_the_url_that_is_not_the_contents_is_refused(world: World) -> None:
    async with world.open() as core:
        await push_blob(core, b"{}")
        with pytest.raises(DigestInvalid, match=str(Digest.of(b"other"))):
            await core.manifests.put(REPO, Digest.of(b"other"), image(b"{}"), OCI_IMAGE)
        with pytest.raises(ManifestInvalid):
            await core.manifests.put(REPO, V1, image(b"{}"), OCI_INDEX)


async def test_limits_are_kept(world: World) -> None:
    world.limits = replace(world.limits, manifest_bytes=1000, tags_per_push=2)
    async with world.open() as core:
        await push_blob(core, b"{}")
        with pytest.raises(ManifestTooLarge, match="at most 1000"):
            await core.manifests.put(REPO, V1, b" " * 1001, OCI_IMAGE)
        with pytest.raises(TagInvalid, match="at most 2"):
            await put(core, image(b"{}"), "a", "b", "c")


async def test_a_tag_moves_and_may_change_the_type(world: World) -> None:
    async with world.open() as core:
        first = await push_image(core, "one", "v1")
        docker = image(b'{"name": "one"}', mediaType=DOCKER_IMAGE)
        await core.manifests.put(REPO, V1, docker, DOCKER_IMAGE)
        assert (await core.manifests.get(REPO, V1)).content == docker
        assert (await core.manifests.get(REPO, Digest.of(first))).content == first
        assert await tags(core) == ("v1",)


async def test_pushing_the_same_again_changes_nothing(world: World) -> None:
    async with world.open() as core:
        content = await push_image(core, "one", "v1")
        files = world.files()
        await put(core, content, "v1")
        assert world.files() == files


async def test_deleting_a_tag_deletes_only_the_tag(world: World) -> None:
    async with world.open() as core:
        content = await push_image(core, "one", "v1", "v2")
        await core.manifests.delete(REPO, V1)
        assert await tags(core) == ("v2",)
        with pytest.raises(ManifestUnknown):
            await core.manifests.get(REPO, V1)
        with pytest.raises(ManifestUnknown):
            await core.manifests.delete(REPO, V1)
        assert (await core.manifests.get(REPO, Digest.of(content))).content == content


async def test_deleting_a_digest_deletes_its_tags_and_a_push_brings_it_back(world: World) -> None:
    async with world.open() as core:
        content = await push_image(core, "one", "v1", "v2")
        digest = Digest.of(content)
        await core.manifests.delete(REPO, digest)
        assert await tags(core) == ()
        for reference in (V1, V2, digest):
            with pytest.raises(ManifestUnknown):
                await core.manifests.stat(REPO, reference)
        with pytest.raises(ManifestUnknown):
            await core.manifests.delete(REPO, digest)
        assert await count(core, "deleted_tag") == 2
        await put(core, content, "v3")
        assert (await core.manifests.stat(REPO, digest)).digest == digest
        assert await tags(core) == ("v3",)


async def test_part_of_an_index_cannot_be_deleted_before_the_index(world: World) -> None:
    async with world.open() as core:
        child = await push_image(core, "child", "c")
        whole = await put(core, index(child), "v1")
        with pytest.raises(Unsupported, match=str(whole)):
            await core.manifests.delete(REPO, Digest.of(child))
        assert await tags(core) == ("c", "v1")
        await core.manifests.delete(REPO, Tag("c"))
        await core.manifests.delete(REPO, whole)
        await core.manifests.delete(REPO, Digest.of(child))


async def test_nothing_is_deleted_in_a_repository_that_is_not_there(world: World) -> None:
    async with world.open() as core:
        for reference in (V1, Digest.of(b"x")):
            with pytest.raises(ManifestUnknown):
                await core.manifests.delete(REPO, reference)


async def test_manifests_survive_a_restart(world: World) -> None:
    async with world.open() as core:
        content = await push_image(core, "one", "v1")
    async with world.open() as core:
        assert (await core.manifests.get(REPO, V1)).content == content
        assert await count(core, "manifest WHERE mirrored_at IS NULL") == 0


async def test_a_copy_that_was_not_written_is_caught_up_on(world: World) -> None:
    async with world.open() as core:
        (world.data / "manifests").rmdir()
        (world.data / "manifests").write_text("in the way")
        content = await push_image(core, "one", "v1")
        (world.data / "manifests").unlink()
        await core.housekeeping.tick()
        copies = [f for f in world.files() if f.startswith("manifests/")]
        assert [decode((world.data / f).read_bytes()).content for f in copies] == [content]
