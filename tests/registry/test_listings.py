# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cais_registry.model.digest import Digest
from cais_registry.model.errors import NameUnknown
from cais_registry.model.names import RepoName
from cais_registry.services.core import Core
from cais_registry.services.listings import _page
from core_support import OTHER, REPO, World, descriptor, image, index, push_blob, push_image, put


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "data")


async def test_tags_are_listed_in_ascii_order_page_by_page(world: World) -> None:
    names = ["v10", "v1", "V1", "a", "_", "v1.0", "0", "v"]
    async with world.open() as core:
        await push_image(core, "one", *names)
        seen: list[str] = []
        last: str | None = None
        while True:
            page = await core.tags.list(REPO, limit=3, last=last)
            seen += page.items
            last = page.last
            if last is None:
                break
    assert seen == sorted(names)


@pytest.mark.parametrize(
    ("limit", "last", "items", "next_"),
    [
        (0, None, (), None),
        (2, None, ("a", "b"), "b"),
        (3, None, ("a", "b", "d"), None),
        (9, "b", ("d",), None),
        (9, "c", ("d",), None),
        (9, "zzz", (), None),
        (1, "", ("a",), "a"),
    ],
)
async def test_a_page_begins_after_any_text(
    world: World, limit: int, last: str | None, items: tuple[str, ...], next_: str | None
) -> None:
    async with world.open() as core:
        await push_image(core, "one", "a", "b", "d")
        page = await core.tags.list(REPO, limit=limit, last=last)
        assert (page.items, page.last) == (items, next_)


async def test_tags_of_a_repository_that_is_not_there(world: World) -> None:
    async with world.open() as core:
        with pytest.raises(NameUnknown, match=str(REPO)):
            await core.tags.list(REPO, limit=10)
        await push_image(core, "one")
        assert (await core.tags.list(REPO, limit=10)).items == ()
        await core.uploads.start(OTHER, None)
        with pytest.raises(NameUnknown):
            await core.tags.list(OTHER, limit=10)


async def catalog(core: Core, limit: int, hidden: str) -> list[tuple[str, ...]]:
    pages: list[tuple[str, ...]] = []
    last: str | None = None
    while True:
        page = await core.catalog.list(
            limit=limit, last=last, readable=lambda repo: hidden not in repo.value
        )
        pages.append(page.items)
        last = page.last
        if last is None:
            return pages


async def test_the_catalog_shows_what_one_may_read_in_full_pages(world: World) -> None:
    names = ["a", "a-b", "a/b", "secret/1", "secret/2", "z"]
    async with world.open() as core:
        for name in names:
            await push_image(core, "one", "v1", repo=RepoName.parse(name))
        await push_blob(core, b"x", RepoName.parse("blobs/only"))
        assert await catalog(core, 2, "secret") == [("a", "a-b"), ("a/b", "z")]
        assert await catalog(core, 100, "nothing") == [tuple(names)]
        assert (await core.catalog.list(limit=0, readable=lambda _: True)).items == ()


async def test_referrers_are_listed_with_what_they_say_of_themselves(world: World) -> None:
    async with world.open() as core:
        subject = await push_image(core, "one", "v1")
        await push_blob(core, b"{}")
        named = image(b"{}", subject=subject, artifactType="sig/x", annotations={"k": "v"})
        plain = image(b"{}", b"{}", subject=subject)
        listed = index(subject=descriptor(subject))
        for content in (named, plain, listed):
            await put(core, content)
        page = await core.referrers.list(REPO, Digest.of(subject), limit=10)
        assert [r.digest for r in page.items] == sorted(map(Digest.of, (named, plain, listed)))
        by_digest = {r.digest: r for r in page.items}
        assert by_digest[Digest.of(named)].artifact_type == "sig/x"
        assert by_digest[Digest.of(named)].annotations == {"k": "v"}
        assert by_digest[Digest.of(named)].size == len(named)
        config_type = "application/vnd.oci.image.config.v1+json"
        assert by_digest[Digest.of(plain)].artifact_type == config_type
        assert by_digest[Digest.of(listed)].artifact_type is None
        only = await core.referrers.list(REPO, Digest.of(subject), artifact_type="sig/x", limit=10)
        assert [r.digest for r in only.items] == [Digest.of(named)]


async def test_referrers_come_in_pages_and_deleted_ones_not_at_all(world: World) -> None:
    async with world.open() as core:
        await push_blob(core, b"{}")
        contents = [image(b"{}", subject=b"later", n=i) for i in range(5)]
        digests = sorted([await put(core, content) for content in contents])
        await core.manifests.delete(REPO, digests.pop(2))
        seen: list[Digest] = []
        last: str | None = None
        while True:
            page = await core.referrers.list(REPO, Digest.of(b"later"), limit=3, last=last)
            seen += [r.digest for r in page.items]
            last = page.last
            if last is None:
                break
        assert seen == digests


async def test_unknown_subjects_and_repositories_have_no_referrers(world: World) -> None:
    async with world.open() as core:
        assert (await core.referrers.list(REPO, Digest.of(b"x"), limit=10)).items == ()
        await push_image(core, "one")
        assert (await core.referrers.list(REPO, Digest.of(b"x"), limit=10)).items == ()


async def test_a_page_of_referrers_stays_readable_for_clients(world: World) -> None:
    async with world.open() as core:
        await push_blob(core, b"{}")
        for number in range(3):
            annotations = {"big": "x" * 1_500_000, "n": str(number)}
            await put(core, image(b"{}", subject=b"later", annotations=annotations))
        page = await core.referrers.list(REPO, Digest.of(b"later"), limit=10)
        assert len(page.items) < 3
        rest = await core.referrers.list(REPO, Digest.of(b"later"), limit=10, last=page.last)
        assert len(page.items) + len(rest.items) == 3


@given(st.lists(st.text(max_size=3), unique=True), st.integers(0, 5))
def test_pages_put_together_are_the_listing(names: list[str], limit: int) -> None:
    left, seen = sorted(names), list[str]()
    while limit:
        page = _page(left[: limit + 1], limit)
        seen += page.items
        if page.last is None:
            break
        left = [name for name in left if name > page.last]
    assert not limit or seen == sorted(names)
