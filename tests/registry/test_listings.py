# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, TypeVar
from unittest.mock import Mock

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cais_registry.config.document import Access, Rule
from cais_registry.model.errors import NameUnknown
from cais_registry.model.globs import matches_repo
from cais_registry.model.names import RepoName
from cais_registry.services.access import Action, compile_rules
from cais_registry.services.core import Core
from cais_registry.services.listings import _page
from cais_registry.services.scopes import Scope
from cais_registry.stores.connection import Connection, Row
from cais_registry.stores.repo_rows import ensure_repo
from core_support import OTHER, REPO, World, push_blob, push_image

T = TypeVar("T")


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


def scope_of(*globs: str) -> Scope:
    """What a user sees who may pull what matches the globs."""
    rule = Rule(users=("ci",), repositories=globs, actions=("pull",))
    return compile_rules(Access(rules=(rule,))).scope("ci", Action.PULL)


async def catalog(core: Core, limit: int, scope: Scope) -> list[tuple[str, ...]]:
    pages: list[tuple[str, ...]] = []
    last: str | None = None
    while True:
        page = await core.catalog.list(limit=limit, last=last, scope=scope)
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
        assert await catalog(core, 2, scope_of("a/**", "a-b", "z")) == [("a", "a-b"), ("a/b", "z")]
        assert await catalog(core, 2, scope_of("*", "*/b")) == [("a", "a-b"), ("a/b", "z")]
        assert await catalog(core, 100, scope_of("**")) == [tuple(names)]
        assert await catalog(core, 100, scope_of()) == [()]
        assert (await core.catalog.list(limit=0, scope=scope_of("**"))).items == ()


def add_repos(names: Sequence[str], connection: Connection) -> None:
    """Repositories that each hold a manifest, far quicker than by pushing."""
    for name in names:
        repo_id = ensure_repo(connection, RepoName(name))
        connection.execute(
            "INSERT INTO manifest (repo_id, digest, media_type, annotations, size, storage_key,"
            " created_at, touched_at, content) VALUES (:repo, :key, 'x', '{}', 0, :key, 0, 0, '')",
            {"repo": repo_id, "key": f"key of {name}"},
        )


PAGES = st.fixed_dictionaries({"last": st.none() | st.text(max_size=5), "limit": st.integers(1, 3)})
WORDS = st.sampled_from(["a", "b", "a-b", "*", "a*", "**"])


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    globs=st.lists(st.lists(WORDS, min_size=1, max_size=3).map("/".join), max_size=3), page=PAGES
)
def test_a_page_is_the_same_as_if_all_names_were_asked_about(
    globs: list[str], page: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    parts = ["a", "b", "a-b", "aa"]
    names = sorted({"/".join(p) for n in (1, 2, 3) for p in product(parts, repeat=n)})

    async def check() -> None:
        async with World(tmp_path_factory.mktemp("data")).open() as core:
            await core.database.write(partial(add_repos, names))
            found = await core.catalog.list(scope=scope_of(*globs), **page)
            shown = [n for n in names if any(matches_repo(g, n) for g in globs)]
            left = [n for n in shown if n > (page["last"] or "")]
            assert list(found.items) == left[: page["limit"]]
            assert (found.last is None) is (len(left) <= page["limit"])

    asyncio.run(check())


def counted(core: Core, monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count the readings from now on, and their rows."""
    counts = Counter[str]()
    inner = core.database.read_slowly

    def execute(connection: Connection, *arguments: Any) -> list[Row]:
        found = connection.execute(*arguments)
        counts["rows"] += len(found)
        return found

    async def read_slowly(work: Callable[[Connection], T]) -> T:
        counts["readings"] += 1
        return await inner(lambda c: work(Mock(wraps=c, execute=partial(execute, c))))

    monkeypatch.setattr(core.database, "read_slowly", read_slowly)
    return counts


@pytest.mark.parametrize("last", [None, "apps/5", "b"])
async def test_names_that_one_may_not_see_are_not_even_looked_at(
    world: World, last: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = [f"apps/{n}" for n in range(10)]
    async with world.open() as core:
        await core.database.write(partial(add_repos, [*mine, "lib", "lib/x", "libs"]))
        others = [f"{where}/{n}" for where in ("app", "apps-2", "b", "zoo") for n in range(100)]
        await core.database.write(partial(add_repos, others))
        counts = counted(core, monkeypatch)
        page = await core.catalog.list(limit=5, last=last, scope=scope_of("apps/**", "lib"))
        expected = [name for name in [*mine, "lib"] if name > (last or "")]
        assert list(page.items) == expected[:5]
        assert counts["rows"] <= 6


async def test_names_that_have_to_be_asked_about_are_looked_at_in_batches(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world.open() as core:
        await core.database.write(partial(add_repos, [f"r{n:04}/y" for n in range(4500)]))
        await core.database.write(partial(add_repos, ["r4/x", "r9/x"]))
        counts = counted(core, monkeypatch)
        page = await core.catalog.list(limit=1, scope=scope_of("*/x"))
        assert (page.items, page.last) == (("r4/x",), "r4/x")
        assert counts == {"rows": 4502, "readings": 3}
        page = await core.catalog.list(limit=1, last=page.last, scope=scope_of("*/x"))
        assert (page.items, page.last) == (("r9/x",), None)
        assert counts == {"rows": 4502 + 501, "readings": 4}


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
