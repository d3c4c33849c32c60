# SPDX-License-Identifier: Apache-2.0
"""The bytes of blobs, in files. Every function blocks; callers run them in threads."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Final

from cais_registry.model.digest import Digest
from cais_registry.model.errors import DigestInvalid, StorageFull
from cais_registry.model.space import Space
from cais_registry.stores.eraser import erase
from cais_registry.stores.folders import sync_folder
from cais_registry.stores.layout import blob_key, upload_key

_FULL: Final = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EFBIG))
_ATTEMPTS: Final = 100
_BLOCK: Final = 1 << 20
_SPARE_FILES: Final = 64


def translated(error: OSError) -> Exception:
    """Turn "the disk is full" into the registry's own error; anything else stays as it is."""
    if error.errno in _FULL:
        return StorageFull("the registry's disk is full: delete images and collect garbage")
    return error


def check_room(found: os.statvfs_result, size: int, *, held: int = 0) -> None:
    """Keep pushes out of the last room, which deletions and garbage collection need to work in.

    Args:
        found: What the file system says of itself.
        size: Bytes that are about to be written.
        held: Bytes that the file they go to holds already, ahead of its end.

    Raises:
        OSError: ENOSPC, if less than the reserve would be left, of bytes or of files.
    """
    space = _space(found)
    # a start makes files of its own; some file systems do not count them, and say 0
    lacks_files = found.f_files and found.f_favail < min(_SPARE_FILES, found.f_files // 20)
    if lacks_files or space.available + held - size < space.reserve:
        raise OSError(errno.ENOSPC, "only the reserve for deletions is left")


def digest_of(descriptor: int, algorithm: str) -> Digest:
    """Hash an open file from its first byte to its last."""
    hasher = hashlib.new(algorithm, usedforsecurity=False)
    offset = 0
    while block := os.pread(descriptor, _BLOCK, offset):
        hasher.update(block)
        offset += len(block)
    return Digest(algorithm, hasher.hexdigest())


def _space(found: os.statvfs_result) -> Space:
    return Space(found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize)


class Files:
    """Files under storage keys: written once, never changed, deleted under a tombstone."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._durable: set[Path] = set()  # folders whose own names are known to be durable

    def path(self, key: str) -> Path:
        """Where the bytes of a key are."""
        return self._root / key

    def size(self, key: str) -> int | None:
        """Size of the bytes under a key, None if there are none."""
        try:
            return self.path(key).stat().st_size
        except (FileNotFoundError, NotADirectoryError):
            return None

    def open(self, key: str) -> int | None:
        """Open the bytes under a key for reading; None if there are none."""
        try:
            return os.open(self.path(key), os.O_RDONLY | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            return None

    def adopt(self, source: Path, upload: str, digest: Digest) -> int:
        """Give a file of somebody else a name here as well, verify it, and publish it.

        What is left where that fails is found by the upload's row.

        Args:
            source: The file; nobody may write to it afterwards.
            upload: The upload that its bytes become, which is written down with its digest.
            digest: What the bytes should be.

        Returns:
            Their number.

        Raises:
            DigestInvalid: If they have another digest.
            FileNotFoundError: If there is no such file.
            StorageFull: If the disk is full.
            OSError: If it is on another file system, or may not be linked to; if the disk failed.
        """
        spare = self.path(upload_key(upload))
        try:
            os.link(source, spare)
        except OSError as error:
            raise translated(error) from error
        descriptor = os.open(spare, os.O_RDONLY | os.O_CLOEXEC)
        try:
            found = digest_of(descriptor, digest.algorithm)
            if found != digest:
                raise DigestInvalid(f"its bytes have digest {found}, not {digest}")
            if not self.publish(spare, blob_key(digest, upload), descriptor):
                raise OSError(errno.ESTALE, "the upload was dropped", spare)
            return os.fstat(descriptor).st_size
        finally:
            os.close(descriptor)

    def publish(self, source: Path, key: str, descriptor: int) -> bool:
        """Move a file to its final key; make its bytes and all new names durable.

        Moving comes first, so that the file system has one change to write down, not two.

        Args:
            source: Where it is.
            key: Where it goes; written down before, as nothing else tells of a move that was cut.
            descriptor: The open file.

        Returns:
            False if there is nothing at `source`: somebody dropped it.

        Raises:
            StorageFull: If the disk is full.
            OSError: If the disk failed.
        """
        target = self.path(key)
        try:
            if not self._move(source, target):
                return False
            os.fsync(descriptor)
            sync_folder(target.parent)
            sync_folder(target.parent.parent)
        except OSError as error:
            raise translated(error) from error
        return True

    def write(self, key: str, content: bytes) -> None:
        """Write a small file durably; one that is there is written anew.

        Raises:
            StorageFull: If the disk is full; what was written of it stays.
        """
        path = self.path(key)
        try:
            self._make_folder(path.parent)
            with path.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            sync_folder(path.parent)
            sync_folder(path.parent.parent)
        except OSError as error:
            raise translated(error) from error

    def _move(self, source: Path, target: Path) -> bool:
        """Rename; the reaper may remove the target's folder, when empty, at any moment."""
        for _ in range(_ATTEMPTS):
            self._make_folder(target.parent)
            try:
                source.rename(target)
            except FileNotFoundError:
                if not source.exists():
                    return False
                continue
            return True
        raise OSError(errno.EAGAIN, "the folder of a blob was removed again and again", target)

    def _make_folder(self, folder: Path) -> None:
        """Make the folder of one digest; the folders above it are made durable once."""
        shard = folder.parent
        if shard not in self._durable:
            shard.mkdir(parents=True, exist_ok=True)
            for above in (shard.parent, shard.parent.parent):
                sync_folder(above)
            self._durable.add(shard)
        with suppress(FileExistsError):  # mkdir(exist_ok=True) fails if it vanishes just now
            folder.mkdir()

    def delete(self, keys: Sequence[str]) -> list[str]:
        """R1: delete the bytes under keys, durably; none being there is fine.

        Returns:
            The keys under which there are no bytes now.
        """
        left = set(erase(self._root, keys))  # their tombstones stay, the next run tries again
        return [key for key in keys if key not in left]

    def discard(self, keys: Sequence[str]) -> None:
        """Delete the bytes under keys that R1 is going to delete: no folder is synced for them."""
        for key in keys:
            with suppress(OSError):
                self.path(key).unlink()

    def keys(self, prefix: str, after: str, limit: int) -> list[tuple[str, int]]:
        """List files in the byte order of their keys.

        Args:
            prefix: A folder.
            after: Only keys after this one.
            limit: Most keys to return.

        Returns:
            Keys with their sizes.
        """
        return list(islice(self._walk(prefix, after), limit))

    def _walk(self, folder: str, after: str) -> Iterator[tuple[str, int]]:
        """Depth first, in order; skips folders that lie wholly before `after`."""
        try:
            names = sorted(path.name for path in (self._root / folder).iterdir())
        except (FileNotFoundError, NotADirectoryError):
            return
        for name in names:
            key = f"{folder}/{name}"
            if key <= after and not (f"{key}/" > after or after.startswith(f"{key}/")):
                continue
            path = self._root / key
            if path.is_dir():
                yield from self._walk(key, after)
            elif key > after:
                with suppress(FileNotFoundError):
                    yield key, path.stat().st_size

    def check_room(self, size: int) -> None:
        """Refuse to write so many bytes where only the reserve for deletions is left.

        Raises:
            StorageFull: If they do not fit.
        """
        try:
            check_room(os.statvfs(self._root), size)
        except OSError as error:
            raise translated(error) from error

    def space(self) -> Space:
        """Room of the file system."""
        return _space(os.statvfs(self._root))
