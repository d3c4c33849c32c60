# SPDX-License-Identifier: Apache-2.0
"""What tests of the rebuild of a lost database share."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from cais_registry.model.digest import Digest
from cais_registry.model.errors import ManifestUnknown
from cais_registry.model.names import RepoName, Tag
from cais_registry.model.rebuilt import Rebuilt
from cais_registry.services.checker import CheckOptions
from cais_registry.services.core import Core
from cais_registry.services.mirror import Mirror
from cais_registry.services.rebuilder import Rebuilder
from cais_registry.stores import rebuilt_file
from cais_registry.stores.file_store import FileStore
from cais_registry.stores.files import Files
from cais_registry.stores.snapshots import Snapshots
from cais_registry.stores.sqlite_database import SqliteDatabase
from core_support import REPO, World

LAYER = b"layer" * 1000


async def snapshot(world: World, core: Core) -> None:
    """As the server does it every hour."""
    await core.mirror.note()
    await asyncio.to_thread(Snapshots(world.data / "metadata.sqlite3").take, world.clock.now)


async def rebuild(world: World, orphans_to: str | None = None) -> Rebuilt:
    done = Rebuilt()
    begun = await asyncio.to_thread(rebuilt_file.begin, world.data)
    done.snapshot = begun.snapshot
    database = SqliteDatabase.open(begun.path, world.clock)
    pool = ThreadPoolExecutor(2)
    try:
        mirror = Mirror(database, FileStore(Files(world.data), pool))
        adopt = None if orphans_to is None else RepoName(orphans_to)
        await Rebuilder(database, world.data, mirror).run(done, adopt)
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
