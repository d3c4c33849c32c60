# SPDX-License-Identifier: Apache-2.0
"""Brings manifests back from their copies (docs/adr/0018)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial
from typing import Final

from cais_registry.model.digest import Digest
from cais_registry.model.errors import ManifestInvalid
from cais_registry.model.manifest import Manifest, parse, said_type
from cais_registry.model.manifest_copy import Origin, decode
from cais_registry.model.names import RepoName
from cais_registry.model.rebuilt import Rebuilt
from cais_registry.services.listed import Keys, copy_of_manifest
from cais_registry.stores.blobstore import BlobStore
from cais_registry.stores.connection import Connection
from cais_registry.stores.database import Database
from cais_registry.stores.mirror_rows import copy_again
from cais_registry.stores.new_manifest import NewManifest
from cais_registry.stores.rebuild_rows import (
    KnownManifest,
    confirm,
    in_repo,
    insert_manifest,
    is_buried,
    with_key,
)
from cais_registry.stores.tombstone_rows import bury

_LARGE: Final = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """A copy that is undamaged."""

    key: str
    digest: Digest
    content: bytes
    origin: Origin | None


class RebuiltManifests:
    """Compares copies with what the database knows, and adds what it does not."""

    def __init__(self, database: Database, store: BlobStore, orphans_to: RepoName | None) -> None:
        """Prepare.

        Args:
            database: See `Rebuilder`.
            store: See `Rebuilder`.
            orphans_to: Repository for manifests whose copies do not say which one they are of.
        """
        self._database = database
        self._store = store
        self._orphans_to = orphans_to
        self._alone = asyncio.Lock()

    async def take(self, found: list[tuple[Digest, Keys]], done: Rebuilt) -> None:
        """Look at the copies of some digests."""
        await asyncio.gather(*(self._digest(digest, keys, done) for digest, keys in found))

    async def _digest(self, digest: Digest, keys: Keys, done: Rebuilt) -> None:
        for key, size in keys:
            if size <= _LARGE:
                await self._take(digest, key, done)
                continue
            async with self._alone:  # so that only one of them is in memory
                await self._take(digest, key, done)

    async def _take(self, digest: Digest, key: str, done: Rebuilt) -> None:
        known = await self._database.read(partial(with_key, key=key))
        if known is None and await self._database.read(partial(is_buried, key=key)):
            return
        copy = decode(await copy_of_manifest(self._store, key) or b"")
        if Digest.of(copy.content, digest.algorithm) != digest:
            await self._damaged(known, key, done)
            return
        found = _Found(key=key, digest=digest, content=copy.content, origin=copy.origin)
        if known is not None:
            done.manifests_kept += 1
            if found.origin is not None:
                again = partial(confirm, known=known, key=key, origin=found.origin)
                await self._database.write(again)
        else:
            await self._unknown(found, done)

    async def _damaged(self, known: KnownManifest | None, key: str, done: Rebuilt) -> None:
        if known is not None:
            done.manifests_kept += 1
            await self._database.write(partial(copy_again, key=key))
            return
        moved = await self._store.set_aside(key)
        done.fail(f"{key} is a damaged copy of a manifest, and now in {moved}")

    async def _unknown(self, found: _Found, done: Rebuilt) -> None:
        """The database does not know this copy."""
        try:
            parsed = await asyncio.to_thread(_parse, found)
        except ManifestInvalid as error:
            done.fail(f"{found.key} is no manifest that is taken: {error.message}")
            return
        origin = found.origin or self._adopted(parsed)
        if origin is None:
            done.fail(
                f"{found.key} does not say which repository it is of, as an older version wrote it:"
                " `--orphans-to REPOSITORY` takes it there"
            )
        elif await self._database.write(partial(_add, found, parsed, origin)):
            done.manifests_found += 1

    def _adopted(self, parsed: Manifest) -> Origin | None:
        if self._orphans_to is None:
            return None
        blobs = (*parsed.blobs, *parsed.optional)
        return Origin(repo=self._orphans_to, media_type=parsed.media_type, pushed_at=0, blobs=blobs)


def _parse(found: _Found) -> Manifest:
    told = None if found.origin is None else found.origin.media_type
    return parse(found.content, told or said_type(found.content))


def _add(found: _Found, parsed: Manifest, origin: Origin, connection: Connection) -> bool:
    """Store a manifest; one that its repository has already, under another key, is the same one.

    Returns:
        False if the repository has it, under a key that is as good.
    """
    known = in_repo(connection, origin, found.digest)
    if known is None:
        new = NewManifest.of(parsed, found.digest, found.content, key=found.key, sparse=True)
        insert_manifest(connection, new, origin)
        if found.origin is None:
            copy_again(connection, found.key)
        return True
    bury(connection, known.key, reason="rebuilt")
    confirm(connection, known, found.key, origin)
    return False
