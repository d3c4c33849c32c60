# SPDX-License-Identifier: Apache-2.0
"""Blobs in the files of a volume."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

from cais_registry.model.digest import Digest
from cais_registry.model.space import Space
from cais_registry.stores.check_files import digest_of, set_aside
from cais_registry.stores.files import Files
from cais_registry.stores.layout import upload_key
from cais_registry.stores.upload_file import UploadFile, is_busy

if TYPE_CHECKING:
    from hashlib import _Hash

T = TypeVar("T")
_PIECE: Final = 256 * 1024


@dataclass(frozen=True, slots=True)
class FileBytes:
    """An open file."""

    size: int
    fd: int
    pool: Executor

    async def read(self, start: int, length: int) -> AsyncGenerator[bytes, None]:
        """Stream a part, read in threads."""
        loop = asyncio.get_running_loop()
        end = start + length
        while start < end:
            wanted = min(_PIECE, end - start)
            piece = await loop.run_in_executor(self.pool, os.pread, self.fd, wanted, start)
            if not piece:
                raise OSError(f"a blob ends at byte {start} instead of {end}")
            start += len(piece)
            yield piece

    def close(self) -> None:
        """Close the file."""
        os.close(self.fd)


class FileStore:
    """A `BlobStore` over `Files`: what is quick is done at once, the rest in threads."""

    def __init__(self, files: Files, pool: Executor) -> None:
        self._files = files
        self._pool = pool

    async def size(self, key: str) -> int | None:
        """See `BlobStore`."""
        return self._files.size(key)

    async def open(self, key: str) -> FileBytes | None:
        """See `BlobStore`."""
        descriptor = self._files.open(key)
        if descriptor is None:
            return None
        return FileBytes(os.fstat(descriptor).st_size, descriptor, self._pool)

    async def write(self, key: str, content: bytes) -> None:
        """See `BlobStore`."""
        await self._in_pool(partial(self._files.write, key, content))

    async def delete(self, keys: Sequence[str]) -> list[str]:
        """See `BlobStore`."""
        return await self._in_pool(partial(self._files.delete, keys))

    async def discard(self, keys: Sequence[str]) -> None:
        """See `BlobStore`."""
        await self._in_pool(partial(self._files.discard, keys))

    async def keys(self, prefix: str, after: str, limit: int) -> list[tuple[str, int]]:
        """See `BlobStore`."""
        return await self._in_pool(partial(self._files.keys, prefix, after, limit))

    async def digest(self, key: str, algorithm: str) -> Digest | None:
        """See `BlobStore`."""
        return await self._in_pool(partial(digest_of, self._files.path(key), algorithm))

    async def set_aside(self, key: str) -> str | None:
        """See `BlobStore`."""
        moved = await self._in_pool(partial(set_aside, self._files.path(""), key))
        return None if moved is None else str(moved)

    async def open_upload(
        self, upload: str, *, state: str, hasher: tuple[_Hash, int] | None, final: str | None
    ) -> UploadFile:
        """See `BlobStore`; how far a file is, it says itself."""
        del state, final
        return UploadFile(self._files.path(upload_key(upload)), self._pool, hasher, self._files)

    def upload_size(self, upload: str, state: str) -> int:
        """See `BlobStore`."""
        del state
        return self._files.size(upload_key(upload)) or 0

    def is_busy(self, upload: str, final: str | None) -> bool:
        """See `BlobStore`; the lock goes with the file to its final key."""
        keys = (upload_key(upload), final)
        return any(is_busy(self._files.path(key)) for key in keys if key is not None)

    def check_room(self, size: int) -> None:
        """See `BlobStore`."""
        self._files.check_room(size)

    def space(self) -> Space | None:
        """See `BlobStore`."""
        return self._files.space()

    async def check(self) -> None:
        """See `BlobStore`; what can fail here, fails at the database on the same volume."""

    async def link(self, key: str) -> str | None:
        """See `BlobStore`."""
        del key
        return None

    async def _in_pool(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)
