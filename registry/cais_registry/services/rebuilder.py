# SPDX-License-Identifier: Apache-2.0
"""Rebuilds a lost database from what is left of it and what is stored (docs/adr/0018)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from itertools import islice
from typing import Final, TypeVar

from cais_registry.model.digest import Digest
from cais_registry.model.names import RepoName
from cais_registry.model.rebuilt import Rebuilt
from cais_registry.services.listed import UPLOADS, Keys, by_digest, pages, whole
from cais_registry.services.mirror import Mirror
from cais_registry.services.rebuilt_manifests import RebuiltManifests
from cais_registry.stores.blob_rows import find_blob, repos_with
from cais_registry.stores.blobstore import BlobStore
from cais_registry.stores.check_rows import CheckedBlob, blobs_after
from cais_registry.stores.database import Database
from cais_registry.stores.rebuild_rows import (
    KnownManifest,
    drop_blob,
    drop_manifests,
    drop_uploads,
    is_buried,
    parents,
    place_blob,
    settle,
    users_of_blob,
)
from cais_registry.stores.tombstone_rows import Grave, bury, bury_all

T = TypeVar("T")
_BATCH: Final = 32
_SHOWN: Final = 3


class Rebuilder:
    """Adds what is stored to the rows of a snapshot or backup. Nothing else may use either.

    It deletes no bytes: damaged ones are moved aside, spare ones get tombstones.
    """

    def __init__(self, database: Database, store: BlobStore, mirror: Mirror) -> None:
        """Prepare.

        Args:
            database: A copy of the snapshot, a backup that was restored, or an empty one.
            store: The bytes.
            mirror: Writes copies of manifests that have none.
        """
        self._database = database
        self._store = store
        self._mirror = mirror

    async def run(self, done: Rebuilt, orphans_to: RepoName | None = None) -> None:
        """Rebuild everything.

        Args:
            done: Filled along the way, so that others can watch.
            orphans_to: Repository for manifests whose copies do not say which one they are of.

        Raises:
            StorageUnavailable: If the store does not answer; it can be run again.
            Unavailable: If the database does not answer; likewise.
        """
        await self._database.write(drop_uploads)
        async for page in pages(self._store, UPLOADS):
            graves: list[Grave] = [(key, None, size) for key, size in whole(page)]
            await self._database.write(partial(bury_all, graves=graves, reason="rebuilt"))
        async for batch in _batches(by_digest(self._store, "blobs")):
            await asyncio.gather(*(self._blob(digest, keys, done) for digest, keys in batch))
        manifests = RebuiltManifests(self._database, self._store, orphans_to)
        async for found in _batches(by_digest(self._store, "manifests")):
            await manifests.take(found, done)
        await self._missing(done)
        await self._database.write(settle)
        while await self._mirror.catch_up():
            pass

    async def _blob(self, digest: Digest, keys: Keys, done: Rebuilt) -> None:
        """Find the bytes of a digest; more of them than one are spare."""
        known = await self._database.read(partial(find_blob, digest=digest))
        good: str | None = None
        damaged = set[str]()
        if known is not None and (known.key, known.size) in keys:
            done.blobs_kept += 1
            good = known.key
        else:
            good, damaged = await self._search(digest, keys, done)
        if good is None:
            return
        for key, size in keys:
            if key != good and key not in damaged:
                await self._database.write(partial(bury, key=key, reason="rebuilt", size=size))

    async def _search(
        self, digest: Digest, keys: Keys, done: Rebuilt
    ) -> tuple[str | None, set[str]]:
        """Return the first key whose bytes are right, and those that were moved aside."""
        damaged = set[str]()
        for key, size in keys:
            if await self._database.read(partial(is_buried, key=key)):
                continue
            found = await self._store.digest(key, digest.algorithm)
            done.bytes_read += size
            if found == digest:
                place = partial(place_blob, digest=digest, size=size, key=key)
                await self._database.write(place)
                done.blobs_found += 1
                return key, damaged
            moved = await self._store.set_aside(key)
            damaged.add(key)
            done.fail(f"{key} has digest {found}: it is damaged, and now in {moved}")
        return None, damaged

    async def _missing(self, done: Rebuilt) -> None:
        """Look for blobs that the database knows and that have no bytes any more."""
        after = ""
        while rows := await self._database.read(partial(blobs_after, after=after, limit=_BATCH)):
            after = str(rows[-1].digest)
            sizes = await asyncio.gather(*(self._store.size(blob.key) for blob in rows))
            for blob, size in zip(rows, sizes, strict=True):
                if size != blob.size:
                    await self._without_bytes(blob, done)

    async def _without_bytes(self, blob: CheckedBlob, done: Rebuilt) -> None:
        """Forget what was collected after the snapshot, tell about what was lost.

        Garbage collection takes the copy of a manifest before its blobs: one that has neither was
        collected.
        """
        users = await self._database.read(partial(users_of_blob, digest=blob.digest))
        gone = await self._with_parents([one for one in users if not await self._has_copy(one)])
        await self._database.write(partial(drop_manifests, gone=gone))
        for one in gone:
            done.collected(f"{one.repo}@{one.digest}")
        if not await self._database.write(partial(drop_blob, digest=blob.digest)):
            names = await self._database.read(
                lambda connection: list(islice(repos_with(connection, blob.digest), _SHOWN))
            )
            where = ", ".join(map(str, names))
            done.fail(f"blob {blob.digest} has no bytes: push it again to {where}")

    async def _with_parents(self, gone: list[KnownManifest]) -> list[KnownManifest]:
        """An index goes with what it lists, if it has no copy either."""
        found, waiting = {(one.repo_id, one.digest): one for one in gone}, list(gone)
        while waiting:
            above = await self._database.read(partial(parents, child=waiting.pop()))
            for one in above:
                if (one.repo_id, one.digest) not in found and not await self._has_copy(one):
                    found[one.repo_id, one.digest] = one
                    waiting.append(one)
        return list(found.values())

    async def _has_copy(self, manifest: KnownManifest) -> bool:
        return await self._store.size(manifest.key) is not None


async def _batches(found: AsyncIterator[T]) -> AsyncIterator[list[T]]:
    batch: list[T] = []
    async for one in found:
        batch.append(one)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
