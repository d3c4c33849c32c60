# SPDX-License-Identifier: Apache-2.0
"""Blobs in the objects of a bucket (docs/adr/0012)."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import AsyncGenerator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cais_registry.model.digest import Digest
from cais_registry.model.errors import StorageUnavailable
from cais_registry.model.space import Space
from cais_registry.stores.blobstore import Busy
from cais_registry.stores.bucket import Bucket
from cais_registry.stores.check_files import ASIDE
from cais_registry.stores.object_upload import LARGEST_COPY, ObjectUpload, parse_state

if TYPE_CHECKING:
    from hashlib import _Hash

_LOG = logging.getLogger(__name__)
_UPLOADS: Final = "uploads/"
_PAGE: Final = 1000
_FRESH_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class ObjectBytes:
    """An object that is there; a connection is made when it is read."""

    bucket: Bucket
    key: str
    size: int
    fd: None = None

    def read(self, start: int, length: int) -> AsyncGenerator[bytes, None]:
        """Stream a part; at most a few pieces of 256 KiB are in memory."""
        return self.bucket.read(self.key, start, length)

    def close(self) -> None:
        """Nothing is held."""


class ObjectStore:
    """A `BlobStore` over a bucket, which any number of servers may share."""

    def __init__(self, bucket: Bucket, pool: Executor, *, links: bool = False) -> None:
        """Prepare.

        Args:
            bucket: The objects.
            pool: Threads to hash in.
            links: Whether clients are sent to the store for the bytes of blobs.
        """
        self._bucket = bucket
        self._pool = pool
        self._links = links
        self._open: set[str] = set()  # uploads that a request of this process has
        self._checked = float("-inf")

    async def size(self, key: str) -> int | None:
        """See `BlobStore`."""
        return await self._bucket.size(key)

    async def open(self, key: str) -> ObjectBytes | None:
        """See `BlobStore`."""
        size = await self._bucket.size(key)
        return None if size is None else ObjectBytes(self._bucket, key, size)

    async def write(self, key: str, content: bytes) -> None:
        """See `BlobStore`; what an object store has taken is durable."""
        await self._bucket.put(key, content)

    async def delete(self, keys: Sequence[str]) -> list[str]:
        """See `BlobStore`."""
        try:
            for key in keys:
                if key.startswith(_UPLOADS):
                    await self._delete_parts(key)
            await self._bucket.delete([key for key in keys if not key.startswith(_UPLOADS)])
        except StorageUnavailable:
            return []  # the tombstones stay, the next run tries again
        return list(keys)

    async def discard(self, keys: Sequence[str]) -> None:
        """See `BlobStore`."""
        await self.delete(keys)

    async def _delete_parts(self, key: str) -> None:
        while found := await self._bucket.keys(key, "", _PAGE):
            await self._bucket.delete([part for part, _ in found])

    async def keys(self, prefix: str, after: str, limit: int) -> list[tuple[str, int]]:
        """See `BlobStore`."""
        return await self._bucket.keys(prefix, after, limit)

    async def digest(self, key: str, algorithm: str) -> Digest | None:
        """See `BlobStore`; reads the object, a few pieces at a time."""
        size = await self._bucket.size(key)
        if size is None:
            return None
        hasher = hashlib.new(algorithm, usedforsecurity=False)
        loop = asyncio.get_running_loop()
        try:
            async for piece in self._bucket.read(key, 0, size):
                await loop.run_in_executor(self._pool, hasher.update, piece)
        except StorageUnavailable:
            if await self._bucket.size(key) is None:
                return None  # collected meanwhile
            raise
        return Digest(algorithm, hasher.hexdigest())

    async def set_aside(self, key: str) -> str | None:
        """See `BlobStore`; the bucket has it under another key then."""
        target = f"{ASIDE}/{key.replace('/', '_')}"
        size = await self._bucket.size(key)
        if size is None:
            return None
        if size > LARGEST_COPY:
            await self._bucket.put_stream(target, self._bucket.read(key, 0, size))
        elif not await self._bucket.copy(key, target):
            return None
        await self._bucket.delete([key])
        return target

    async def open_upload(
        self, upload: str, *, state: str, hasher: tuple[_Hash, int] | None, final: str | None
    ) -> ObjectUpload:
        """See `BlobStore`; a request of another server is noticed when its part is written down."""
        if upload in self._open:
            raise Busy
        self._open.add(upload)

        def release() -> None:
            self._open.discard(upload)

        opened = ObjectUpload(self._bucket, self._pool, f"{_UPLOADS}{upload}", release)
        opened.resume(state, hasher, final)
        return opened

    def upload_size(self, upload: str, state: str) -> int:
        """See `BlobStore`."""
        del upload
        return sum(size for _, size in parse_state(state))

    def is_busy(self, upload: str, final: str | None) -> bool:
        """See `BlobStore`; one that another server writes to fails there when it has expired."""
        del final
        return upload in self._open

    def check_room(self, size: int) -> None:
        """See `BlobStore`."""

    def space(self) -> Space | None:
        """See `BlobStore`."""
        return None

    async def check(self) -> None:
        """See `BlobStore`; asks the store at most every few seconds."""
        if time.monotonic() - self._checked > _FRESH_SECONDS:
            await self._bucket.keys("blobs", "", 1)
            self._checked = time.monotonic()

    async def link(self, key: str) -> str | None:
        """See `BlobStore`."""
        return await self._bucket.link(key) if self._links else None
