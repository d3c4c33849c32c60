# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from cais_registry.model.digest import Digest
from cais_registry.model.names import Tag
from cais_registry.services.core import Core
from core_support import REPO, World, descriptor, image, index, push_blob, push_image, put


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "data")


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


async def test_what_a_client_has_listed_under_a_tag_are_referrers_too(world: World) -> None:
    """As clients do where they see no API: the distribution-spec's "Referrers Tag Schema"."""
    async with world.open() as core:
        subject = await push_image(core, "one", "v1")
        tag = f"sha256-{Digest.of(subject).encoded}"
        await push_blob(core, b"{}")
        says_so = image(b"{}", subject=subject, n=1)
        older = [image(b"{}", n=n, artifactType="x/sig") for n in range(2, 6)]
        of_another = image(b"{}", subject=b"another", n=7)
        for content in (says_so, *older, of_another):
            await put(core, content)
        await put(core, index(says_so, *older, of_another), tag)
        await put(core, index(older[0], n=8), "v2")
        listed = sorted(map(Digest.of, (says_so, *older)))
        assert await referrers(core, subject, limit=2) == listed
        some = await referrers(core, subject, limit=2, kind="x/sig")
        assert some == sorted(map(Digest.of, older))
        assert await referrers(core, older[0]) == []
        await core.manifests.delete(REPO, Tag(tag))
        assert await referrers(core, subject) == [Digest.of(says_so)]
        await put(core, older[0], tag)
        assert await referrers(core, subject) == [Digest.of(says_so)]


async def test_the_tag_of_a_long_digest_is_cut_off(world: World) -> None:
    async with world.open() as core:
        await push_blob(core, b"{}")
        content, subject = image(b"{}", n=1), Digest.of(b"subject", "sha512")
        await put(core, content)
        await put(core, index(content), f"sha512-{subject.encoded[:64]}")
        page = await core.referrers.list(REPO, subject, limit=9)
        assert [found.digest for found in page.items] == [Digest.of(content)]


async def referrers(
    core: Core, subject: bytes, *, limit: int = 10, kind: str | None = None
) -> list[Digest]:
    seen: list[Digest] = []
    last: str | None = None
    while True:
        page = await core.referrers.list(
            REPO, Digest.of(subject), artifact_type=kind, limit=limit, last=last
        )
        seen += [found.digest for found in page.items]
        last = page.last
        if last is None:
            return seen


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
