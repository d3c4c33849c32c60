# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import logging
from functools import partial

from cais_registry.model.errors import StorageFull, StorageUnavailable
from cais_registry.model.manifest_copy import ManifestCopy, encode
from cais_registry.stores.blobstore import BlobStore
from cais_registry.stores.database import Database
from cais_registry.stores.mirror_rows import mark_mirrored, unmirrored

_LOG = logging.getLogger(__name__)
_BATCH = 20


class Mirror:
    """Copies of manifests beside the blobs, from which a lost database can be rebuilt.

    The manifest in the database is the one that counts. A copy is written after it, and caught up
    on later if that did not work out.
    """

    def __init__(self, database: Database, store: BlobStore) -> None:
        self._database = database
        self._store = store
        self._written: list[str] = []

    async def copy(self, key: str, copy: ManifestCopy) -> None:
        """Write the copy of a manifest that the database has; a failure is only logged."""
        try:
            await self._store.write(key, encode(copy))
            self._written.append(key)
            if len(self._written) >= _BATCH:
                await self.note()
        except (OSError, StorageFull, StorageUnavailable) as error:
            _LOG.warning("copy of a manifest not written, will be tried again: %s", error)

    def check_room(self, size: int) -> None:
        """Refuse a manifest where only the reserve for deletions is left.

        Args:
            size: Of the manifest, in bytes; it is written twice.

        Raises:
            StorageFull: If it does not fit.
        """
        self._store.check_room(2 * size)

    async def note(self) -> None:
        """Write down in the database which copies are there, so that none is written twice."""
        written, self._written = self._written, []
        if not written:
            return
        purged = await self._database.write(partial(mark_mirrored, keys=written))
        if purged:
            await self._store.delete(purged)

    async def catch_up(self) -> int:
        """Write some copies that are missing; returns how many."""
        await self.note()
        for key, copy in await self._database.read(partial(unmirrored, limit=_BATCH - 1)):
            await self.copy(key, copy)
        count = len(self._written)
        await self.note()
        return count
