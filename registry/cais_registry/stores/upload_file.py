# SPDX-License-Identifier: Apache-2.0
"""The bytes of one upload, open for one request."""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from cais_registry.model.digest import Digest
from cais_registry.stores.appending import Appending
from cais_registry.stores.blobstore import Busy
from cais_registry.stores.files import Files, check_room, digest_of, translated
from cais_registry.stores.write_back import WriteBack

if TYPE_CHECKING:
    from hashlib import _Hash

T = TypeVar("T")
_SECTOR: Final = 512
"""Bytes in which `st_blocks` counts, whatever the file system."""

_AT_ONCE: Final = 1024  # pieces in one call (IOV_MAX)


class UploadFile:
    """An upload's file, locked, so that no two requests write to it, in whichever process.

    Writing and hashing happen in a thread; at most one write is under way. The hash goes on only
    while it has seen every byte of the file, else it is computed anew at the end.
    """

    direct_key: str | None = None
    leaves_bytes = False

    def __init__(
        self, path: Path, pool: Executor, hasher: tuple[_Hash, int] | None, files: Files
    ) -> None:
        """Open (or make) and lock the file.

        Args:
            path: Where it is.
            pool: Threads to work in.
            hasher: What has seen the first so many bytes.
            files: Where it is published.

        Raises:
            Busy: If another request has it open.
            StorageFull: If the disk takes no more files.
        """
        self._pool = pool
        self._path = path
        self._files = files
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        try:
            self._descriptor = os.open(path, flags, 0o600)
        except OSError as error:
            raise translated(error) from error
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._descriptor)
            raise Busy from None
        self.size = os.fstat(self._descriptor).st_size
        self._write_back = WriteBack(self._descriptor, self.size)
        self._hash = hasher[0] if hasher is not None and hasher[1] == self.size else None
        self._appending = Appending(pool, self._append)
        self._pending: asyncio.Future[Any] | None = None

    @property
    def hasher(self) -> tuple[_Hash, int] | None:
        """What has seen every byte, with their number; to go on with in the next request."""
        return None if self._hash is None else (self._hash, self.size)

    def hash_with(self, algorithm: str) -> None:
        """Hash from the first byte on, if no byte is there yet."""
        if self._hash is None and self.size == 0:
            self._hash = hashlib.new(algorithm, usedforsecurity=False)

    async def write(self, pieces: Sequence[bytes]) -> None:
        """Append pieces after those before; returns as soon as there is room for more.

        Raises:
            StorageFull: If the disk is full; what fitted is kept.
        """
        await self._appending.put(pieces)

    async def flush(self) -> None:
        """Wait until all is written (not: durable).

        Raises:
            StorageFull: If the disk is full; what fitted is kept.
        """
        await self._appending.drain()

    async def _in_thread(self, work: Callable[[], T]) -> T:
        """Whoever is cancelled meanwhile leaves it to `close`."""
        await self.flush()
        self._pending = asyncio.get_running_loop().run_in_executor(self._pool, work)
        return await asyncio.shield(self._pending)

    def _append(self, pieces: Sequence[bytes]) -> None:
        try:
            self._check_room(sum(map(len, pieces)))
            for begin in range(0, len(pieces), _AT_ONCE):
                self._append_all(pieces[begin : begin + _AT_ONCE])
            self._write_back.grown(self.size)
        except OSError as error:
            raise translated(error) from error

    def _check_room(self, size: int) -> None:
        """XFS takes room ahead of a file that grows, and gives back what is left in the end."""
        try:
            check_room(os.fstatvfs(self._descriptor), size)
        except OSError:
            held = os.fstat(self._descriptor).st_blocks * _SECTOR - self.size
            check_room(os.fstatvfs(self._descriptor), size, held=max(0, held))

    def _append_all(self, pieces: Sequence[bytes]) -> None:
        """Write and hash; the kernel may take less than all of it, as when the disk is full."""
        left = deque(memoryview(piece) for piece in pieces if piece)
        while left:
            written = os.writev(self._descriptor, left)
            self.size += written
            while written:
                view = left.popleft()
                if len(view) > written:
                    left.appendleft(view[written:])
                    view = view[:written]
                if self._hash is not None:
                    self._hash.update(view)
                written -= len(view)

    async def settle(self) -> str:
        """Nothing is needed to go on but the file itself."""
        return ""

    async def take_back(self) -> None:
        """Nothing to do: the lock on the file keeps other requests away."""

    async def publish(self, key: str) -> bool:
        """Move the bytes to their final key and make all of it durable, in one go in a thread.

        Where that fails at the disk the bytes are gone, and are to be sent again.

        Returns:
            False if the bytes are gone: somebody dropped them.

        Raises:
            StorageFull: If the disk is full.
            OSError: If the disk failed.
        """
        return await self._in_thread(partial(self._publish, key))

    def _publish(self, key: str) -> bool:
        try:
            return self._files.publish(self._path, key, self._descriptor)
        except Exception:
            if not self._path.exists():
                # After a failed fsync the kernel takes the pages for clean: a second one would
                # succeed, whatever the disk holds. So the bytes must not be believed any more.
                os.ftruncate(self._descriptor, 0)
                self.size, self._hash = 0, None
            raise

    async def digest(self, algorithm: str) -> Digest:
        """The digest of all bytes; computed anew where it was not along the way."""
        if self._hash is not None and self._hash.name == algorithm:
            return Digest(algorithm, self._hash.hexdigest())
        return await self._in_thread(partial(digest_of, self._descriptor, algorithm))

    def close(self) -> None:
        """Unlock and close, once what is being written is written."""
        if self._pending is not None and not self._pending.done():
            self._pending.add_done_callback(self._close_after)
        else:
            self._appending.at_last(partial(os.close, self._descriptor))

    def _close_after(self, pending: asyncio.Future[Any]) -> None:
        if not pending.cancelled():
            pending.exception()  # nobody waits for it any more
        os.close(self._descriptor)


def is_busy(path: Path) -> bool:
    """Whether some request has an upload's file open."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
