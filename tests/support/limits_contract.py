# SPDX-License-Identifier: Apache-2.0
"""Immutable tags and read-only, on whichever database; whoever collects these gives `world`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from cais_registry.model.digest import Digest
from cais_registry.model.errors import Denied, ReadOnly, RegistryError
from cais_registry.model.manifest import DOCKER_LIST, OCI_IMAGE, OCI_INDEX
from cais_registry.model.names import Tag
from cais_registry.model.policy import TagRule
from cais_registry.services.access import OPEN, Action
from cais_registry.services.chunks import Chunk
from core_support import (
    HOUR,
    OTHER,
    REPO,
    World,
    begin_upload,
    chunk,
    collect,
    count,
    index,
    push_blob,
    push_image,
    put,
    stored,
)

VERSIONS = TagRule(repositories=("team/app",), tags=("v*",))
LAYER = bytes(10_000)


async def test_an_immutable_tag_stays_where_it_is_in_every_form_of_a_request(world: World) -> None:
    world.policy = replace(world.policy, immutable_tags=(VERSIONS,))
    async with world.open() as core:
        first = Digest.of(await push_image(core, "one", "v1", "latest"))
        second = await push_image(core, "two", "latest")
        kind = "application/vnd.oci.image.manifest.v1+json"
        manifests = core.manifests
        attempts: tuple[Callable[[], Awaitable[Any]], ...] = (
            lambda: manifests.put(REPO, Tag("v1"), second, kind),
            lambda: manifests.put(REPO, Digest.of(second), second, kind, tags=[Tag("v1")]),
            lambda: manifests.put(REPO, Tag("new"), second, kind, tags=[Tag("x"), Tag("v1")]),
            lambda: manifests.delete(REPO, Tag("v1")),
            lambda: manifests.delete(REPO, first),
        )
        for attempt in attempts:
            with pytest.raises(Denied) as caught:
                await attempt()
            for word in (
                "tag v1 of team/app",
                str(first),
                "{repositories: [team/app], tags: [v*]}",
            ):
                assert word in caught.value.message
        tags = await core.tags.list(REPO, limit=100)
        assert [str(tag) for tag in tags.items] == ["latest", "v1"]
        assert (await manifests.stat(REPO, Tag("v1"))).digest == first
        assert (await manifests.stat(REPO, Tag("latest"))).digest == Digest.of(second)


async def test_a_manifest_with_an_immutable_tag_stays_of_the_type_that_it_is_of(
    world: World,
) -> None:
    untyped = json.dumps({"schemaVersion": 2, "manifests": []}).encode()
    async with world.open() as core:
        await core.manifests.put(REPO, Tag("v1"), untyped, OCI_INDEX)
        world.policy = replace(world.policy, immutable_tags=(VERSIONS,))
        await core.manifests.put(REPO, Tag("v1"), untyped, OCI_INDEX)
        for reference in (Tag("other"), Digest.of(untyped)):
            with pytest.raises(Denied, match="its media type cannot change"):
                await core.manifests.put(REPO, reference, untyped, DOCKER_LIST)
        assert (await core.manifests.stat(REPO, Tag("v1"))).media_type == OCI_INDEX


async def test_who_may_only_create_moves_no_tag_in_any_form_of_a_request(world: World) -> None:
    async with world.open() as core:
        first = Digest.of(await push_image(core, "one", "v1"))
        second = await push_image(core, "two")
        create = partial(core.manifests.put, creates_only=True)
        attempts: tuple[Callable[[], Awaitable[Any]], ...] = (
            lambda: create(REPO, Tag("v1"), second, OCI_IMAGE),
            lambda: create(REPO, Digest.of(second), second, OCI_IMAGE, tags=[Tag("v1")]),
            lambda: create(REPO, Tag("new"), second, OCI_IMAGE, tags=[Tag("x"), Tag("v1")]),
        )
        for attempt in attempts:
            with pytest.raises(Denied, match="tag v1 of team/app exists"):
                await attempt()
        tags = await core.tags.list(REPO, limit=100)
        assert [str(tag) for tag in tags.items] == ["v1"]
        assert (await core.manifests.stat(REPO, Tag("v1"))).digest == first


async def test_who_may_only_create_pushes_what_is_new_and_the_same_again(world: World) -> None:
    async with world.open() as core:
        content = await push_image(core, "one")
        create = partial(core.manifests.put, REPO, content_type=OCI_IMAGE, creates_only=True)
        for reference in (Tag("v1"), Tag("v1"), Digest.of(content)):
            await create(reference, content, tags=[Tag("v2")])
        await core.manifests.delete(REPO, Tag("v1"))
        other = await push_image(core, "two")
        await create(Tag("v1"), other)  # it is free again
        await core.manifests.delete(REPO, Digest.of(content))
        await create(Digest.of(content), content)


async def test_who_may_only_create_does_not_change_what_a_digest_is(world: World) -> None:
    untyped = json.dumps({"schemaVersion": 2, "manifests": []}).encode()
    async with world.open() as core:
        await core.manifests.put(REPO, Tag("v1"), untyped, OCI_INDEX)
        for reference in (Tag("v1"), Tag("new"), Digest.of(untyped)):
            with pytest.raises(Denied, match="another media type"):
                await core.manifests.put(REPO, reference, untyped, DOCKER_LIST, creates_only=True)
        assert (await core.manifests.stat(REPO, Tag("v1"))).media_type == OCI_INDEX
        await core.manifests.put(REPO, Tag("v1"), untyped, DOCKER_LIST)  # who may push, may


async def test_of_many_that_create_one_tag_at_once_one_does(world: World) -> None:
    async with world.open() as core:
        images = [await push_image(core, f"image {number}") for number in range(8)]
        create = partial(core.manifests.put, REPO, content_type=OCI_IMAGE, creates_only=True)
        answers = await asyncio.gather(
            *(create(Tag("v1"), content) for content in images), return_exceptions=True
        )
        (one,) = [answer for answer in answers if not isinstance(answer, BaseException)]
        assert (await core.manifests.stat(REPO, Tag("v1"))).digest == one.digest
        assert sum(isinstance(answer, Denied) for answer in answers) == len(images) - 1


async def test_what_no_rule_covers_and_what_changes_nothing_is_taken(world: World) -> None:
    world.policy = replace(world.policy, immutable_tags=(VERSIONS,))
    async with world.open() as core:
        content = await push_image(core, "one", "v1", "latest")
        await put(core, content, "v1")  # the same again
        await put(core, content, "v2")  # a new one
        other = await push_image(core, "two", "latest")
        await core.manifests.delete(REPO, Tag("latest"))
        await core.manifests.delete(REPO, Digest.of(other))
        await push_image(core, "one", "v1", repo=OTHER)
        await push_image(core, "two", "v1", repo=OTHER)
        await core.manifests.delete(OTHER, Tag("v1"))
        world.policy = replace(world.policy, immutable_tags=())
        await core.manifests.delete(REPO, Digest.of(content))


async def test_parts_of_an_index_with_an_immutable_tag_stay(world: World) -> None:
    world.policy = replace(world.policy, immutable_tags=(VERSIONS,))
    async with world.open() as core:
        child = await push_image(core, "child")
        await put(core, index(child), "v1")
        with pytest.raises(RegistryError, match="part of index"):
            await core.manifests.delete(REPO, Digest.of(child))
        world.clock.forward(HOUR * 9)
        await collect(core)
        await core.manifests.stat(REPO, Digest.of(child))


async def test_a_rule_holds_for_a_push_that_was_on_its_way_before(world: World) -> None:
    """Between the arrival of a request and its transaction the rules may change."""
    async with world.open() as core:
        await push_image(core, "one", "v1")
        second = await push_image(core, "two")

        def turn(step: str) -> None:
            if step == "M1":
                world.policy = replace(world.policy, immutable_tags=(VERSIONS,))

        core.manifests._failpoint = turn
        with pytest.raises(Denied, match="immutable"):
            await put(core, second, "v1")


async def test_an_immutable_tag_that_was_deleted_before_the_rule_can_come_back(
    world: World,
) -> None:
    async with world.open() as core:
        content = await push_image(core, "one", "v1")
        await core.manifests.delete(REPO, Digest.of(content))
        world.policy = replace(world.policy, immutable_tags=(VERSIONS,))
        await core.undelete.bring_back(REPO, Tag("v1"))
        with pytest.raises(Denied, match="immutable"):
            await core.manifests.delete(REPO, Tag("v1"))


async def test_garbage_collection_keeps_an_immutable_tag_of_what_is_gone(world: World) -> None:
    everything = TagRule(repositories=("**",), tags=("*.sig",))
    world.policy = replace(world.policy, immutable_tags=(everything,))
    async with world.open() as core:
        content = await push_image(core, "one", "v1")
        name = str(Digest.of(content)).replace(":", "-")
        await push_image(core, "signature", f"{name}.sig")
        await push_image(core, "attestation", f"{name}.att")
        await core.manifests.delete(REPO, Digest.of(content))
        world.clock.forward(HOUR * 9)
        await collect(core)
        tags = await core.tags.list(REPO, limit=100)
        assert [str(tag) for tag in tags.items] == [f"{name}.sig"]
        world.clock.forward(HOUR * 9)
        await collect(core)
        await core.manifests.get(REPO, Tag(f"{name}.sig"))


async def test_read_only_refuses_every_change_and_no_reading(world: World) -> None:
    async with world.open() as core:
        content = await push_image(core, "one", "v1", layers=[LAYER])
        free = await push_blob(core, b"free")
        await put(core, content, "gone")
        await core.manifests.delete(REPO, Tag("gone"))
        ref = await begin_upload(core)
        world.policy = replace(world.policy, read_only=True)
        attempts: tuple[Callable[[], Awaitable[Any]], ...] = (
            lambda: core.uploads.start(REPO, "ci"),
            lambda: push_blob(core, b"new"),
            lambda: push_blob(core, LAYER),  # there already: still a change for its repository
            lambda: core.uploads.finish(ref, Digest.of(b"x"), chunk(b"x")),
            lambda: core.blobs.mount(OTHER, free, source=REPO, readable=lambda _: True),
            lambda: core.blobs.delete(REPO, free),
            lambda: put(core, content, "v2"),
            lambda: core.manifests.delete(REPO, Tag("v1")),
            lambda: core.manifests.delete(REPO, Digest.of(content)),
            lambda: core.undelete.bring_back(REPO, Tag("gone")),
        )
        before = await stored(core)
        for attempt in attempts:
            with pytest.raises(ReadOnly, match="read-only"):
                await attempt()
        assert await stored(core) == before
        await core.manifests.get(REPO, Tag("v1"), promise=True)
        await core.blobs.stat(REPO, free, promise=True)
        assert (await core.catalog.list(limit=9, scope=OPEN.scope(None, Action.PULL))).items == (
            REPO.value,
        )
        await collect(core)
        world.policy = replace(world.policy, read_only=False)
        await put(core, content, "v2")


async def test_the_switch_takes_effect_for_an_upload_that_runs(world: World) -> None:
    """It goes over while the last bytes come; nothing of the upload is left."""
    async with world.open() as core:

        async def stream() -> AsyncIterator[bytes]:
            yield LAYER
            world.policy = replace(world.policy, read_only=True)

        files = world.files()
        digest = Digest.of(LAYER)
        with pytest.raises(ReadOnly):
            await core.uploads.push(REPO, "ci", digest, Chunk(body=stream()))
        assert await count(core, "upload") == 0
        world.policy = replace(world.policy, read_only=False)
        ref = await begin_upload(core)
        with pytest.raises(ReadOnly):
            await core.uploads.finish(ref, digest, Chunk(body=stream()))
        assert await count(core, "upload") == 0
        assert await count(core, "blob") == 0
        assert world.files() == files
