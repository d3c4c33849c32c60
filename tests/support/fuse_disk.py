# SPDX-License-Identifier: Apache-2.0
"""Serves a disk as a file system: `python -m support.fuse_disk FOLDER STATE KIND [SEED]`.

Killing this process is the end of the power: only what is on the platter was ever there.
"""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import stat
import sys
import threading
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

from support.platter import Inode
from support.volatile_disk import Disk

BLOCK = 4096
BLOCKS = 1 << 24
_PR_SET_PDEATHSIG = 1


class Operations:
    """The operations of FUSE's high-level interface, over a disk."""

    use_ns = True  # times are whole nanoseconds

    def __init__(self, disk: Disk, state: Path) -> None:
        self._disk = disk
        self._hold, self._held = state / "hold", state / "held"
        self._lock = threading.Lock()
        self._handles: dict[int, Inode] = {}
        self._numbers = count(1)

    def init_with_config(self, _connection: Any, config: Any) -> None:
        config.use_ino = 1  # SQLite tells its files apart by them
        config.hard_remove = config.nullpath_ok = 1  # a file without a name is only a handle
        config.kernel_cache = 1  # mapped pages stay when somebody else opens the file

    def _inode(self, path: str | None, handle: int | None) -> Inode:
        if handle:
            return self._handles[handle]
        if path is None:
            raise OSError(errno.ESTALE, "neither path nor handle")
        return self._disk.find(path)

    def _open(self, inode: Inode) -> int:
        self._disk.hold(inode)
        handle = next(self._numbers)
        self._handles[handle] = inode
        return handle

    def getattr(self, path: str | None, fh: int | None = None) -> dict[str, int]:
        with self._lock:
            inode = self._inode(path, fh)
            times = dict.fromkeys(("st_atime", "st_mtime", "st_ctime"), inode.mtime)
            size = len(inode.content)
            return {
                "st_ino": inode.number,
                "st_mode": inode.mode,
                "st_nlink": inode.links,
                "st_size": size,
                "st_blocks": -(-size // 512),
                "st_uid": os.geteuid(),
                "st_gid": os.getegid(),
                **times,
            }

    def readdir(self, _path: str | None, fh: int) -> list[tuple[str, dict[str, int], int]]:
        with self._lock:
            inode = self._handles[fh]
            found = {".": inode.number, "..": inode.number, **inode.entries}
            return [(name, {"st_ino": number}, 0) for name, number in found.items()]

    def create(self, path: str, mode: int) -> int:
        with self._lock:
            return self._open(self._disk.make(path, mode))

    def mkdir(self, path: str, mode: int) -> None:
        with self._lock:
            self._disk.make(path, mode | stat.S_IFDIR)

    def open(self, path: str, flags: int) -> int:
        with self._lock:
            inode = self._disk.find(path)
            if flags & os.O_TRUNC:
                self._disk.truncate(inode, 0)
            return self._open(inode)

    def opendir(self, path: str) -> int:
        with self._lock:
            return self._open(self._disk.find(path))

    def release(self, _path: str | None, fh: int) -> None:
        with self._lock:
            self._disk.release(self._handles.pop(fh))

    releasedir = release

    def read(self, _path: str | None, size: int, offset: int, fh: int) -> bytes:
        with self._lock:
            return bytes(self._handles[fh].content[offset : offset + size])

    def write(self, _path: str | None, data: bytes, offset: int, fh: int) -> int:
        with self._lock:
            self._disk.write(self._handles[fh], offset, data)
        return len(data)

    def truncate(self, path: str | None, length: int, fh: int | None = None) -> None:
        with self._lock:
            self._disk.truncate(self._inode(path, fh), length)

    def unlink(self, path: str) -> None:
        with self._lock:
            self._disk.unlink(path)

    rmdir = unlink

    def rename(self, old: str, new: str) -> None:
        with self._lock:
            self._disk.rename(old, new)

    def link(self, target: str, source: str) -> None:
        with self._lock:
            self._disk.link(target, self._disk.find(source))

    def chmod(self, path: str, mode: int) -> None:
        with self._lock:
            self._disk.find(path).mode = mode

    def chown(self, path: str, uid: int, gid: int) -> None:
        """Everything belongs to whoever runs the test."""

    def utimens(self, path: str, times: tuple[int, int]) -> None:
        with self._lock:
            self._disk.find(path).mtime = times[1]

    def statfs(self, _path: str) -> dict[str, int]:
        free = dict.fromkeys(("f_blocks", "f_bfree", "f_bavail"), BLOCKS)
        return {"f_bsize": BLOCK, "f_frsize": BLOCK, "f_namemax": 255, **free}

    def fsync(self, _path: str | None, _datasync: int, fh: int) -> None:
        while self._hold.exists():
            self._held.touch()
            threading.Event().wait(0.02)
        self.fsyncdir(_path, _datasync, fh)

    def fsyncdir(self, _path: str | None, _datasync: int, fh: int) -> None:
        with self._lock:
            self._disk.sync(self._handles[fh])


def main(folder: str, state: str, kind: str, seed: str | None = None) -> None:
    """Serve the file system, as `fuse.KIND`, until the power is cut."""
    import mfusepy  # noqa: PLC0415 - looks for the library of the system when it is imported

    # mfusepy 3.1 forgets the handle here, which is all that a file without a name has
    mfusepy.FUSE.truncate_fuse_3 = mfusepy.FUSE.ftruncate
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    chance = None if seed is None else Random(seed)  # noqa: S311 - no secret
    disk = Disk(Path(state) / "log", chance)
    operations = Operations(disk, Path(state))
    mfusepy.FUSE(operations, folder, foreground=True, subtype=kind)


if __name__ == "__main__":
    main(*sys.argv[1:])
