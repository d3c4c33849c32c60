# SPDX-License-Identifier: Apache-2.0
"""An upload to a bucket: every request that adds bytes makes one object of them, a part."""

from __future__ import annotations

import asyncio
import hashlib
import json
import secrets
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import Executor
from typing import TYPE_CHECKING, Final, TypeAlias

from cais_registry.model.digest import Digest
from cais_registry.model.errors import BlobUploadInvalid
from cais_registry.stores.bucket import Bucket

if TYPE_CHECKING:
    from hashlib import _Hash

Parts: TypeAlias = list[tuple[str, int]]
LARGEST_COPY: Final = 5 * 1024**3
_MOST_PARTS: Final = 10_000


def parse_state(state: str) -> Parts:
    """Names and sizes of the parts that are written down."""
    return [(name, size) for name, size in json.loads(state)] if state else []


class Outgoing:
    """An object on its way to the store, given piece by piece."""

    def __init__(self, bucket: Bucket, key: str) -> None:
        self.key = key
        self.size = 0
        self._pieces: asyncio.Queue[bytes | None] = asyncio.Queue(1)
        self._task = asyncio.create_task(bucket.put_stream(key, self._give()))

    async def _give(self) -> AsyncGenerator[bytes, None]:
        while (piece := await self._pieces.get()) is not None:
            yield piece

    async def send(self, piece: bytes | None) -> None:
        """Hand a piece over, as fast as the store takes them; None is the end.

        Raises:
            StorageUnavailable: If the store does not take it.
        """
        putting = asyncio.ensure_future(self._pieces.put(piece))
        try:
            await asyncio.wait((putting, self._task), return_when=asyncio.FIRST_COMPLETED)
        finally:
            putting.cancel()
        if self._task.done():
            await self._task
        elif piece is None:
            await asyncio.shield(self._task)
        self.size += len(piece or b"")

    def cancel(self) -> None:
        """Give it up."""
        self._task.cancel()


class ObjectUpload:
    """An upload, open for one request; see `UploadBytes`.

    A hash cannot be handed to another process: whoever goes on elsewhere reads the parts again
    when the upload ends.
    """

    def __init__(
        self, bucket: Bucket, pool: Executor, folder: str, release: Callable[[], None]
    ) -> None:
        self._bucket = bucket
        self._pool = pool
        self._folder = folder
        self._release = release
        self._parts: Parts = []
        self._before = 0  # parts that earlier requests have made
        self._hash: _Hash | None = None
        self._outgoing: Outgoing | None = None
        self._final: str | None = None
        self.size = 0

    def resume(self, state: str, hasher: tuple[_Hash, int] | None, final: str | None) -> None:
        """Take over what earlier requests have left."""
        self._parts = parse_state(state)
        self._before = len(self._parts)
        self.size = sum(size for _, size in self._parts)
        self._final = final if not self._parts else None
        if hasher is not None and hasher[1] == self.size:
            self._hash = hasher[0]

    @property
    def direct_key(self) -> str | None:
        """See `UploadBytes`; an upload without bytes has sent none there."""
        return self._final if self._parts else None

    @property
    def leaves_bytes(self) -> bool:
        """Parts stay until the upload has ended."""
        return self.direct_key is None

    @property
    def hasher(self) -> tuple[_Hash, int] | None:
        """See `UploadBytes`."""
        return None if self._hash is None else (self._hash, self.size)

    def hash_with(self, algorithm: str) -> None:
        """See `UploadBytes`."""
        if self._hash is None and self.size == 0:
            self._hash = hashlib.new(algorithm, usedforsecurity=False)

    async def write(self, pieces: Sequence[bytes]) -> None:
        """See `UploadBytes`; hashes while the store takes the bytes."""
        if self._outgoing is None:
            if len(self._parts) >= _MOST_PARTS:
                raise BlobUploadInvalid(f"more than {_MOST_PARTS} chunks: send larger ones")
            key = self._final or f"{self._folder}/{secrets.token_hex(8)}"
            self._outgoing = Outgoing(self._bucket, key)
        piece = b"".join(pieces)
        hasher, self._hash = self._hash, None  # lost, if this fails or is cancelled
        await asyncio.gather(self._outgoing.send(piece), self._update(hasher, piece))
        self._hash = hasher
        self.size += len(piece)

    async def _update(self, hasher: _Hash | None, piece: bytes) -> None:
        if hasher is not None:
            await asyncio.get_running_loop().run_in_executor(self._pool, hasher.update, piece)

    async def flush(self) -> None:
        """See `UploadBytes`; nothing is left behind by `write`."""

    async def settle(self) -> str:
        """See `UploadBytes`: ends the object of this request."""
        if self._outgoing is not None:
            outgoing, self._outgoing = self._outgoing, None
            try:
                await outgoing.send(None)
            except BaseException:
                outgoing.cancel()
                self.size, self._hash = sum(size for _, size in self._parts), None
                raise
            self._parts.append((outgoing.key.rpartition("/")[2], outgoing.size))
        if self._final is not None or not self._parts:
            return ""
        return json.dumps(self._parts, separators=(",", ":"))

    async def take_back(self) -> None:
        """See `UploadBytes`."""
        lost = [f"{self._folder}/{name}" for name, _ in self._parts[self._before :]]
        self._hash = None
        await self._bucket.delete(lost)

    async def digest(self, algorithm: str) -> Digest:
        """See `UploadBytes`; the bytes are in the store before they are judged."""
        await self.settle()
        hasher = self._hash
        if hasher is None or hasher.name != algorithm:
            hasher = hashlib.new(algorithm, usedforsecurity=False)
            async for piece in self._read_all():
                await self._update(hasher, piece)
        return Digest(algorithm, hasher.hexdigest())

    async def _read_all(self) -> AsyncGenerator[bytes, None]:
        for name, size in self._parts:
            key = self._final or f"{self._folder}/{name}"
            async for piece in self._bucket.read(key, 0, size):
                yield piece

    async def publish(self, key: str) -> bool:
        """See `UploadBytes`; one part is copied inside the store, several are put together."""
        await self.settle()
        if not self._parts:
            await self._bucket.put(key, b"")
        elif self._final == key:
            return True
        elif len(self._parts) == 1 and self.size <= LARGEST_COPY:
            return await self._bucket.copy(f"{self._folder}/{self._parts[0][0]}", key)
        else:
            await self._bucket.put_stream(key, self._read_all())
        return True

    def close(self) -> None:
        """See `UploadBytes`."""
        if self._outgoing is not None:
            self._outgoing.cancel()
        self._release()
