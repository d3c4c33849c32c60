# SPDX-License-Identifier: Apache-2.0
"""Rebuilds a lost database from its newest snapshot and the volume (docs/adr/0018)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Final, TypeVar

from cais_registry.model.digest import Digest
from cais_registry.model.names import RepoName
from cais_registry.model.rebuilt import Rebuilt
from cais_registry.services.mirror import Mirror
from cais_registry.services.rebuilt_manifests import RebuiltManifests
from cais_registry.stores.blob_rows import find_blob, repos_with
from cais_registry.stores.check_files import digest_folders, digest_of, files, set_aside
from cais_registry.stores.check_rows import CheckedBlob, blobs_after
from cais_registry.stores.database import Database
from cais_registry.stores.layout import UnusableData
from cais_registry.stores.rebuild_rows import (
    KnownManifest,
    bury_uploads,
    drop_blob,
    drop_manifests,
    has_blobs,
    is_buried,
    parents,
    place_blob,
    settle,
    users_of_blob,
)
from cais_registry.stores.tombstone_rows import bury

T = TypeVar("T")
_BATCH: Final = 32
_SHOWN: Final = 3


class Rebuilder:
    """Adds what is on the volume to the rows of a snapshot. Nothing else may use either.

    It deletes no file: damaged ones are moved aside, spare ones get tombstones.
    """

    def __init__(self, database: Database, root: Path, mirror: Mirror) -> None:
        """Prepare.

        Args:
            database: A copy of the snapshot, or an empty one.
            root: The data folder.
            mirror: Writes copies of manifests that have none.
        """
        self._database = database
        self._root = root
        self._mirror = mirror

    async def run(self, done: Rebuilt, orphans_to: RepoName | None = None) -> None:
        """Rebuild everything.

        Args:
            done: Filled along the way, so that others can watch.
            orphans_to: Repository for manifests whose copies do not say which one they are of.

        Raises:
            UnusableData: If the snapshot knows blobs, and the volume has none.
        """
        await self._check()
        uploads = [found for found in files(self._root) if found[0].startswith("uploads/")]
        await self._database.write(partial(bury_uploads, keys=uploads))
        for batch in _batches(digest_folders(self._root, "blobs")):
            await asyncio.gather(*(self._blob(digest, keys, done) for digest, keys in batch))
        manifests = RebuiltManifests(self._database, self._root, orphans_to)
        for found in _batches(digest_folders(self._root, "manifests")):
            await manifests.take(found, done)
        await self._missing(done)
        await self._database.write(settle)
        while await self._mirror.catch_up():
            pass

    async def _check(self) -> None:
        """What is in an object store cannot be seen from here, and must not be forgotten."""
        is_empty = not any(not key.startswith("uploads/") for key, _ in files(self._root))
        if is_empty and await self._database.read(has_blobs):
            raise UnusableData(
                f"{self._root} holds no blobs, but its snapshot knows some: with an object store"
                " no rebuild is possible, put the newest of snapshots/ in the place of the database"
            )

    async def _blob(self, digest: Digest, keys: list[tuple[str, int]], done: Rebuilt) -> None:
        """Find the bytes of a digest; more of them than one are spare."""
        known = await self._database.read(partial(find_blob, digest=digest))
        if known is not None and (known.key, known.size) in keys:
            done.blobs_kept += 1
            good: str | None = known.key
        else:
            good = await self._search(digest, keys, done)
        if good is None:
            return
        for key, size in keys:
            if key != good and (self._root / key).exists():
                await self._database.write(partial(bury, key=key, reason="rebuilt", size=size))

    async def _search(
        self, digest: Digest, keys: list[tuple[str, int]], done: Rebuilt
    ) -> str | None:
        for key, size in keys:
            if await self._database.read(partial(is_buried, key=key)):
                continue
            found = await asyncio.to_thread(digest_of, self._root / key, digest.algorithm)
            done.bytes_read += size
            if found == digest:
                place = partial(place_blob, digest=digest, size=size, key=key)
                await self._database.write(place)
                done.blobs_found += 1
                return key
            moved = await asyncio.to_thread(set_aside, self._root, key)
            done.fail(f"{key} has digest {found}: it is damaged, and now in {moved}")
        return None

    async def _missing(self, done: Rebuilt) -> None:
        """Look for blobs of the snapshot that have no bytes any more."""
        after = ""
        while rows := await self._database.read(partial(blobs_after, after=after, limit=_BATCH)):
            after = str(rows[-1].digest)
            for blob in rows:
                if _size(self._root / blob.key) != blob.size:
                    await self._without_bytes(blob, done)

    async def _without_bytes(self, blob: CheckedBlob, done: Rebuilt) -> None:
        """Forget what was collected after the snapshot, tell about what was lost.

        Garbage collection takes the copy of a manifest before its blobs: one that has neither was
        collected.
        """
        users = await self._database.read(partial(users_of_blob, digest=blob.digest))
        gone = await self._with_parents([user for user in users if not self._has_copy(user)])
        await self._database.write(partial(drop_manifests, gone=gone))
        for one in gone:
            done.collected(f"{one.repo}@{one.digest}")
        if not await self._database.write(partial(drop_blob, digest=blob.digest)):
            names = await self._database.read(
                lambda connection: list(islice(repos_with(connection, blob.digest), _SHOWN))
            )
            where = ", ".join(map(str, names))
            done.fail(f"blob {blob.digest} has no bytes on the volume: push it again to {where}")

    async def _with_parents(self, gone: list[KnownManifest]) -> list[KnownManifest]:
        """An index goes with what it lists, if it has no copy either."""
        found, waiting = {(one.repo_id, one.digest): one for one in gone}, list(gone)
        while waiting:
            above = await self._database.read(partial(parents, child=waiting.pop()))
            for one in above:
                if (one.repo_id, one.digest) not in found and not self._has_copy(one):
                    found[one.repo_id, one.digest] = one
                    waiting.append(one)
        return list(found.values())

    def _has_copy(self, manifest: KnownManifest) -> bool:
        return (self._root / manifest.key).exists()


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None


def _batches(found: Iterator[T]) -> Iterator[list[T]]:
    while batch := list(islice(found, _BATCH)):
        yield batch
