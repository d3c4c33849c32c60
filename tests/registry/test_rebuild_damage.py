# SPDX-License-Identifier: Apache-2.0
"""What a rebuild meets on a volume that is not as it should be."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from obstore.store import MemoryStore

from cais_registry.model.digest import Digest
from cais_registry.model.errors import BlobUnknown
from cais_registry.model.manifest import OCI_IMAGE
from cais_registry.model.manifest_copy import decode
from cais_registry.model.names import RepoName, Tag
from cais_registry.stores import rebuilt_file
from cais_registry.stores.bucket import Bucket
from cais_registry.stores.layout import UnusableData, manifest_key
from cais_registry.stores.object_store import ObjectBytes, ObjectStore
from cais_registry.stores.sqlite_database import SqliteDatabase
from core_support import (
    REPO,
    World,
    collect,
    count,
    push_blob,
    push_image,
)
from rebuild_support import LAYER, check, copies, has, key_of, rebuild, snapshot, world

__all__ = ["world"]


async def test_bytes_that_were_replaced_are_found_and_spare_ones_go(tmp_path: Path) -> None:
    world = World(tmp_path)
    async with world.open() as core:
        await push_image(core, "one", "v1", layers=[LAYER])
        await core.uploads.start(REPO, "ci")
        await snapshot(world, core)
    (old,) = (tmp_path / "blobs").rglob(f"{Digest.of(LAYER).encoded}/*")
    new, spare, wrong = (old.with_name(letter * 32) for letter in "abc")
    shutil.copy(old, new)
    shutil.copy(old, spare)
    old.unlink()
    wrong.write_bytes(LAYER[:-1])
    (tmp_path / "uploads" / ("d" * 32)).write_bytes(b"half an upload")
    done = await rebuild(world)
    assert done.blobs_found == 1
    async with world.open() as core:
        assert await count(core, "upload") == 0
        await check(core)
        await collect(core)
        await check(core)
        assert (await core.blobs.stat(REPO, Digest.of(LAYER), promise=False)).size == len(LAYER)
    assert (new.exists(), spare.exists(), wrong.exists()) == (True, False, False)
    assert not list((tmp_path / "uploads").iterdir())


async def test_damage_is_told_and_moved_aside(world: World) -> None:
    async with world.open() as core:
        await push_image(core, "known", "v1", layers=[LAYER])
        await snapshot(world, core)
        later = await push_image(core, "later", layers=[b"later" * 9])
        for folder, content in (("blobs", LAYER), ("manifests", later)):
            await core.store.write(await key_of(core, folder, content), b"{}")
    done = await rebuild(world)
    told = "\n".join(done.problems)
    for says in (
        "it is damaged, and now in",
        "is a damaged copy of a manifest",
        f"again to {REPO}",
    ):
        assert says in told
    assert done.left == 3
    async with world.open() as core:
        moved = [(key.split("_")[0], size) for key, size in await core.store.keys("damaged", "", 9)]
        assert [one for one in moved if "metadata" not in one[0]] == [
            ("damaged/blobs", 2),
            ("damaged/manifests", 2),
        ]
        with pytest.raises(BlobUnknown):
            await core.blobs.stat(REPO, Digest.of(LAYER), promise=False)
        await push_blob(core, LAYER)
        await check(core)
        assert await has(core, "v1")


class Watched(ObjectStore):
    """Counts how many copies of manifests are read at the same time."""

    reading = most = 0

    async def open(self, key: str) -> ObjectBytes | None:
        """Wait until others had their turn."""
        self.reading += 1
        self.most = max(self.most, self.reading)
        await asyncio.sleep(0.01)
        self.reading -= 1
        return await super().open(key)


@pytest.mark.parametrize(("size", "at_once"), [(5 << 20, 1), (100, 8)])
async def test_only_one_large_copy_is_in_memory(tmp_path: Path, size: int, at_once: int) -> None:
    with ThreadPoolExecutor(2) as pool:
        store = Watched(Bucket(MemoryStore()), pool)
        for number in range(8):
            await store.write(manifest_key(Digest.of(b"%d" % number), "1"), bytes(size))
        done = await rebuild(World(tmp_path, store=lambda _: store))
    assert (done.left, store.most) == (8, at_once)


def as_older(data: Path) -> None:
    """Make copies of manifests what older versions wrote: the bytes alone."""
    for path in copies(data):
        path.write_bytes(decode(path.read_bytes()).content)


async def test_copies_of_older_versions_are_known_by_the_snapshot_and_written_anew(
    tmp_path: Path,
) -> None:
    world = World(tmp_path)
    async with world.open() as core:
        manifest = await push_image(core, "one", "v1")
        await snapshot(world, core)
    as_older(tmp_path)
    _mark_unmirrored(tmp_path / "snapshots")
    done = await rebuild(world)
    assert (done.manifests_kept, done.left) == (1, 0)
    (path,) = copies(tmp_path)
    origin = decode(path.read_bytes()).origin
    assert origin is not None
    assert (origin.repo, origin.blobs) == (REPO, (Digest.of(b'{"name": "one"}'),))
    async with world.open() as core:
        assert (await core.manifests.get(REPO, Tag("v1"))).content == manifest


def _mark_unmirrored(folder: Path) -> None:
    """What the migration does that came with copies that say more."""
    (path,) = folder.iterdir()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE manifest SET mirrored_at = NULL")


async def test_without_a_snapshot_copies_of_older_versions_go_where_one_says(
    tmp_path: Path,
) -> None:
    world = World(tmp_path)
    async with world.open() as core:
        manifest = await push_image(core, "one", "v1", layers=[LAYER])
    as_older(tmp_path)
    done = await rebuild(world)
    assert (done.manifests_found, done.left) == (0, 1)
    assert "`--orphans-to REPOSITORY` takes it there" in done.problems[0]
    assert len(copies(tmp_path)) == 1  # nothing was destroyed
    done = await rebuild(world, "lost/found")
    assert (done.manifests_found, done.left) == (1, 0)
    async with world.open() as core:
        found = await core.manifests.get(RepoName("lost/found"), Digest.of(manifest))
        assert (found.content, found.media_type) == (manifest, OCI_IMAGE)
        await check(core)


async def test_an_unreadable_snapshot_is_passed_over(tmp_path: Path) -> None:
    world = World(tmp_path)
    async with world.open() as core:
        await push_image(core, "one", "v1")
        await snapshot(world, core)
    (good,) = (tmp_path / "snapshots").iterdir()
    for name, content in (("2999", b"scribble" * 9999), ("3000", b"")):
        good.with_name(f"metadata-{name}0101T000000Z.sqlite3").write_bytes(content)
    begun = rebuilt_file.begin(tmp_path)
    assert begun.snapshot == good.name
    assert [line.split(" ")[2] for line in begun.unreadable] == ["empty", "damaged:"]


async def test_a_server_does_not_begin_anew_where_a_database_was_lost(tmp_path: Path) -> None:
    world = World(tmp_path)
    async with world.open() as core:
        await push_image(core, "one", "v1")
    for damage in (os.unlink, lambda path: Path(path).write_bytes(b"")):
        damage(tmp_path / "metadata.sqlite3")
        with pytest.raises(UnusableData, match="fsck --rebuild --data"):
            async with world.open():
                pass
    await rebuild(world)
    async with world.open() as core:
        assert await count(core, "manifest") == 1


async def test_a_store_that_has_nothing_of_the_database_is_taken_when_told_so_only(
    tmp_path: Path,
) -> None:
    """It is likely to be another registry's: all would be forgotten for it."""
    world = World(tmp_path)
    async with world.open() as core:
        manifest = await push_image(core, "one", "v1")
        await snapshot(world, core)
    for folder in ("blobs", "manifests"):
        (tmp_path / folder).rename(tmp_path / f"other-{folder}")
    other = World(tmp_path / "other")
    async with other.open() as core:
        await push_image(core, "two", "v2")
    for folder in ("blobs", "manifests"):
        (other.data / folder).rename(tmp_path / folder)
    with pytest.raises(UnusableData, match="the store has nothing of what the database"):
        await rebuild(world)
    done = await rebuild(world, is_forced=True)
    assert (done.manifests_found, done.gone, done.left) == (1, 1, 0)
    async with world.open() as core:
        assert not await has(core, manifest)
        await check(core)


async def test_a_new_database_that_the_disk_had_no_room_for_takes_no_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite cannot move its log into the file then, and closes it without a word."""
    world = World(tmp_path)
    async with world.open() as core:
        await push_image(core, "one", "v1")
    before = (tmp_path / "metadata.sqlite3").read_bytes()
    log = tmp_path / f"{rebuilt_file.NAME}-wal"
    with monkeypatch.context() as patch:
        close = SqliteDatabase.close

        def close_on_a_full_disk(database: SqliteDatabase) -> None:
            written = log.read_bytes()
            close(database)
            log.write_bytes(written)

        patch.setattr(SqliteDatabase, "close", close_on_a_full_disk)
        with pytest.raises(OSError, match="no room to complete the new database"):
            await rebuild(world)
    assert (tmp_path / "metadata.sqlite3").read_bytes() == before
    await rebuild(world)
    async with world.open() as core:
        assert await count(core, "manifest") == 1
        await check(core)
