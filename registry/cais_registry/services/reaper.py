# SPDX-License-Identifier: Apache-2.0
"""Gives bytes back to the disk: drops uploads that expired, deletes what lies under tombstones."""

from __future__ import annotations

from functools import partial
from typing import Final

from cais_registry.services.failpoints import Failpoint
from cais_registry.stores.blobstore import BlobStore
from cais_registry.stores.database import Database
from cais_registry.stores.tombstone_rows import forget, oldest
from cais_registry.stores.upload_rows import UploadRow, drop_expired, expired_uploads

_BATCH: Final = 256
_FILES: Final = 8 * _BATCH
"""Files that are deleted before their tombstones are: folders are synced once for all of them."""


class Reaper:
    """Works in batches, each with its own short transaction, and keeps nobody waiting."""

    def __init__(self, database: Database, store: BlobStore, failpoint: Failpoint) -> None:
        self._database = database
        self._store = store
        self._failpoint = failpoint

    async def expire_uploads(self, now: int) -> tuple[int, int]:
        """Drop the uploads that expired, but for those that some request is writing to.

        Returns:
            How many, and the bytes that they had.
        """
        count = size = 0
        after = ""
        while True:
            rows = await self._database.read(
                partial(expired_uploads, now=now, after=after, limit=_BATCH)
            )
            if not rows:
                return count, size
            after = rows[-1].id
            for row in rows:
                dropped = await self._expire(row, now)
                count += dropped is not None
                size += dropped or 0

    async def _expire(self, row: UploadRow, now: int) -> int | None:
        if self._store.is_busy(row.id, row.final):
            return None
        size = await self._size(row)
        self._failpoint("janitor")
        drop = partial(drop_expired, upload=row.id, now=now)
        if not await self._database.write(drop):
            return None
        await self._delete([(key, 0) for key in row.keys])
        return size

    async def _size(self, row: UploadRow) -> int:
        """Bytes of an upload, also of one that was moved to its end when the server died."""
        published = None if row.final is None else await self._store.size(row.final)
        return self._store.upload_size(row.id, row.state) + (published or 0)

    async def count_expired(self, now: int) -> tuple[int, int]:
        """Count the uploads that `expire_uploads` would drop, and their bytes."""
        count = size = 0
        after = ""
        while rows := await self._database.read(
            partial(expired_uploads, now=now, after=after, limit=_BATCH)
        ):
            after = rows[-1].id
            for row in rows:
                if not self._store.is_busy(row.id, row.final):
                    count += 1
                    size += await self._size(row)
        return count, size

    async def reap(self) -> tuple[int, int]:
        """R1 and R2: delete the bytes under all tombstones, then the tombstones.

        Returns:
            Bytes given back, and the number of tombstones whose bytes could not be deleted.
        """
        size = skipped = 0
        while True:
            found = await self._database.read(partial(oldest, limit=_FILES, offset=skipped))
            if not found:
                return size, skipped
            gone = await self._delete(found)
            size += sum(length for key, length in found if key in gone)
            skipped += len(found) - len(gone)

    async def _delete(self, found: list[tuple[str, int]]) -> set[str]:
        self._failpoint("R1")
        keys = [key for key, _ in found]
        gone = await self._store.delete(keys)
        self._failpoint("R2")
        for start in range(0, len(gone), _BATCH):
            await self._database.write(partial(forget, keys=gone[start : start + _BATCH]))
        return set(gone)
