# SPDX-License-Identifier: Apache-2.0
"""A program and the one before it, on one database; whoever collects these gives `world`, `steps`.

The program of the test is the one before: a migration that only a later one has is put beside its
own. Where its own last one is taken away, it is the later one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from types import ModuleType

import pytest

from cais_registry.model.digest import Digest
from cais_registry.model.names import Tag
from cais_registry.stores.blob_rows import find_member
from cais_registry.stores.connection import Connection
from cais_registry.stores.schema import Migration, SchemaUnknown, migration
from core_support import REPO, World, begin_upload, chunk, collect, push_image, stored
from rebuild_support import check, has

RENAMED = "ALTER TABLE tag RENAME TO label;\n"


@dataclass(frozen=True)
class Steps:
    """The migrations of one kind of database."""

    module: ModuleType
    patch: pytest.MonkeyPatch
    own: Mapping[int, Migration] = field(default_factory=dict)

    @contextmanager
    def known(self, *later: Migration, less: int = 0) -> Iterator[None]:
        """A program with other migrations: more at the end, or some less."""
        found = list(self.own.values())[: len(self.own) - less]
        with self.patch.context() as patch:
            known = {one.version: one for one in (*found, *later)}
            patch.setattr(self.module, "scripts", lambda: known)
            yield

    @property
    def next(self) -> int:
        return max(self.own) + 1

    def added(self, *, at: int = 0) -> Migration:
        """Everything that a migration may add: a column to each table, a table, a trigger."""
        tables = re.findall(r"CREATE TABLE (\w+)", "".join(one.script for one in self.own.values()))
        lines = [
            f"ALTER TABLE {one} ADD COLUMN later{at} TEXT NOT NULL DEFAULT 'x';" for one in tables
        ]
        lines += [f"CREATE TABLE later{at} (id BIGINT PRIMARY KEY);"]
        lines += [f"CREATE INDEX tag_later{at} ON tag (later{at});"]
        script = f"-- Compatible from: {max(self.own)}\n" + "\n".join(lines) + "\n"
        return migration(self.next + at, script)

    def broken(self, *, at: int = 0, compatible: int | None = None) -> Migration:
        """One that takes something away."""
        made = migration(self.next + at, RENAMED)
        return made if compatible is None else replace(made, compatible_from=compatible)


def later_values(connection: Connection) -> list[str]:
    return [row["later0"] for row in connection.execute("SELECT later0 FROM tag ORDER BY name")]


async def work(world: World, name: str) -> None:
    """Whatever writes: pushes, tags that move and go, an upload that waits, a collection."""
    async with world.open() as core:
        await push_image(core, f"{name} old", name, "moves", layers=(name.encode() * 100,))
        await push_image(core, f"{name} new", "moves", layers=(b"shared",))
        await push_image(core, f"{name} gone", f"{name}-gone")
        await core.manifests.delete(REPO, Tag(f"{name}-gone"))
        await begin_upload(core)
        world.clock.forward(4 * world.policy.undelete_window)
        await collect(core)
        await stored(core)
        await check(core)


async def images(world: World, *tags: str) -> list[bool]:
    async with world.open() as core:
        return [await has(core, tag) for tag in tags]


async def test_what_the_version_before_has_written_is_there_after_the_upgrade(
    world: World, steps: Steps
) -> None:
    with steps.known(less=1):
        await work(world, "a")
    await work(world, "b")
    assert await images(world, "a", "b", "moves", "a-gone") == [True, True, True, False]


async def test_the_version_before_runs_on_what_a_newer_one_has_only_added(
    world: World, steps: Steps
) -> None:
    await work(world, "a")
    with steps.known(steps.added(), steps.added(at=1)):
        await work(world, "b")
    await work(world, "c")  # rolled back
    assert await images(world, "a", "b", "c", "moves") == [True, True, True, True]
    with steps.known(steps.added(), steps.added(at=1)):
        await work(world, "d")  # and upgraded again
        assert await images(world, "a", "b", "c", "d") == [True, True, True, True]
        async with world.open() as core:
            assert await core.database.read(later_values) == ["x"] * 5


async def test_the_version_before_refuses_what_it_would_misread_and_says_who_can(
    world: World, steps: Steps
) -> None:
    with steps.known(steps.broken()):
        async with world.open():
            pass
    told = (
        f"has schema {steps.next}, and only a program that knows schema {steps.next} may use it; "
        rf"this one, \S+, knows up to {max(steps.own)}: run version \d+\.\d+\.\d+ or newer, or "
    )
    with pytest.raises(SchemaUnknown, match=told):
        async with world.open():
            pass
    with steps.known(steps.broken()):  # the refusal has changed nothing
        async with world.open():
            pass


async def test_it_is_the_oldest_schema_that_any_later_migration_needs_which_counts(
    world: World, steps: Steps
) -> None:
    ahead = (steps.added(), steps.broken(at=1, compatible=steps.next), steps.added(at=2))
    ahead = (*ahead[:2], replace(ahead[2], script="", compatible_from=max(steps.own)))
    with steps.known(*ahead):
        async with world.open():
            pass
    with pytest.raises(SchemaUnknown, match=f"a program that knows schema {steps.next} may use it"):
        async with world.open():
            pass
    with steps.known(ahead[0]):  # knows just enough
        async with world.open():
            pass


async def test_an_upload_goes_on_in_the_other_version(world: World, steps: Steps) -> None:
    with steps.known(steps.added()):
        async with world.open() as core:
            ref = await begin_upload(core)
            await core.uploads.append(ref, chunk(b"first half, "))
    async with world.open() as core:
        digest = Digest.of(b"first half, second half")
        await core.uploads.finish(ref, digest, chunk(b"second half", start=12))
        assert await core.database.read(lambda c: find_member(c, REPO, digest)) is not None
