# SPDX-License-Identifier: Apache-2.0
"""What tests of the rebuild of a lost database share."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from obstore.store import MemoryStore

from cais_registry.model.digest import Digest
from cais_registry.model.errors import ManifestUnknown
from cais_registry.model.names import RepoName, Tag
from cais_registry.model.rebuilt import Rebuilt
from cais_registry.services import rebuild_check
from cais_registry.services.checker import CheckOptions
from cais_registry.services.core import Core
from cais_registry.services.mirror import Mirror
from cais_registry.services.rebuilder import Rebuilder
from cais_registry.stores import rebuilt_file
from cais_registry.stores.bucket import Bucket
from cais_registry.stores.file_store import FileStore
from cais_registry.stores.files import Files
from cais_registry.stores.object_store import ObjectStore
from cais_registry.stores.snapshots import Snapshots
from cais_registry.stores.sqlite_database import SqliteDatabase
from core_support import REPO, World

LAYER = b"layer" * 1000


@pytest.fixture(params=["files", "objects"])
def world(tmp_path: Path, request: pytest.FixtureRequest) -> World:
    """A registry whose bytes are in files, or in the objects of a bucket."""
    if request.param == "files":
        return World(tmp_path)
    objects = MemoryStore()
    return World(tmp_path, store=lambda pool: ObjectStore(Bucket(objects), pool))


async def snapshot(world: World, core: Core) -> None:
    """As the server does it every hour."""
    await core.mirror.note()
    await asyncio.to_thread(Snapshots(world.data / "metadata.sqlite3").take, world.clock.now)


async def rebuild(
    world: World, orphans_to: str | None = None, *, is_forced: bool = False
) -> Rebuilt:
    done = Rebuilt()
    begun = await asyncio.to_thread(rebuilt_file.begin, world.data)
    done.snapshot = begun.snapshot
    database = SqliteDatabase.open(begun.path, world.clock)
    pool = ThreadPoolExecutor(2)
    try:
        store = FileStore(Files(world.data), pool) if world.store is None else world.store(pool)
        await rebuild_check.check(
            database, store, "the store", may_be_empty=True, is_forced=is_forced
        )
        adopt = None if orphans_to is None else RepoName(orphans_to)
        await Rebuilder(database, store, Mirror(database, store)).run(done, adopt)
    finally:
        pool.shutdown()
        database.close()
    rebuilt_file.finish(world.data, world.clock.now)
    return done


async def check(core: Core) -> None:
    found = await core.checker.run(CheckOptions(digests=True))
    assert not found.found, found.findings


async def has(core: Core, reference: bytes | str, repo: RepoName = REPO) -> bool:
    what = Tag(reference) if isinstance(reference, str) else Digest.of(reference)
    try:
        await core.manifests.get(repo, what)
    except ManifestUnknown:
        return False
    return True


def copies(data: Path) -> list[Path]:
    return sorted(path for path in (data / "manifests").rglob("*") if path.is_file())


async def key_of(core: Core, folder: str, content: bytes) -> str:
    """Where the store has the bytes of a blob, or the copy of a manifest."""
    encoded = Digest.of(content).encoded
    found = await core.store.keys(folder, "", 999)
    (key,) = (key for key, _ in found if key.split("/")[3] == encoded)
    return key
