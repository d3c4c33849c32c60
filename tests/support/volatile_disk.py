# SPDX-License-Identifier: Apache-2.0
"""A disk as it is when the power goes: what was synced is there; of the rest nothing, or any part.

POSIX promises that contents are durable after the file was synced, and that a name is (or is gone)
after the folder that holds it was. Nothing more is believed here, although journals of real file
systems keep more: not that a rename is one step, nor that sizes and bytes come together.

The inodes in memory are what programs see, as from the kernel's cache. Only what was appended to
the platter is there for the next `Disk` that opens it.
"""

from __future__ import annotations

import errno
import time
from collections.abc import Iterable
from itertools import count
from pathlib import Path
from random import Random

from support.platter import ROOT, Content, Entry, Inode, Platter, resize

SECTOR = 512
WRITE_BACK_RATES = (0.02, 0.2, 0.8)


def pieces(inode: Inode, sectors: Iterable[int]) -> tuple[tuple[int, bytes], ...]:
    """The bytes of some sectors, neighbours together."""
    runs: list[list[int]] = []
    for sector in sorted(sectors):
        if runs and runs[-1][1] == sector:
            runs[-1][1] += 1
        else:
            runs.append([sector, sector + 1])
    return tuple(
        (first * SECTOR, bytes(inode.content[first * SECTOR : end * SECTOR])) for first, end in runs
    )


class Disk:
    """Files and folders by path, as programs see them while the power is on."""

    def __init__(self, log: Path, chance: Random | None = None) -> None:
        """Take what is durable.

        Args:
            log: The platter; made when missing.
            chance: Writes back by itself, at any moment, any part of what nobody synced, as a
                kernel does; None never does.
        """
        self._platter = Platter(log)
        self._numbers = count(self._platter.newest + 1)
        self._inodes = self._platter.inodes
        self._dirty: dict[int, Inode] = {}
        self._chance = chance
        self._rate = 0.0 if chance is None else chance.choice(WRITE_BACK_RATES)

    def close(self) -> None:
        """The power is off."""
        self._platter.close()

    def find(self, path: str) -> Inode:
        """The inode that a path leads to.

        Raises:
            OSError: ENOENT or ENOTDIR.
        """
        inode = self._inodes[ROOT]
        for name in filter(None, path.split("/")):
            if not inode.is_folder:
                raise OSError(errno.ENOTDIR, path)
            if name not in inode.entries:
                raise OSError(errno.ENOENT, path)
            inode = self._inodes[inode.entries[name]]
        return inode

    def _place(self, path: str) -> tuple[Inode, str]:
        folder, _, name = path.rpartition("/")
        return self.find(folder), name

    def make(self, path: str, mode: int) -> Inode:
        folder, name = self._place(path)
        if name in folder.entries:
            raise OSError(errno.EEXIST, path)
        inode = Inode(next(self._numbers), mode, mtime=time.time_ns())
        self._inodes[inode.number] = inode
        self._name(folder, name, inode)
        return inode

    def link(self, path: str, inode: Inode) -> None:
        """Give an inode one more name."""
        folder, name = self._place(path)
        if name in folder.entries:
            raise OSError(errno.EEXIST, path)
        self._name(folder, name, inode)

    def unlink(self, path: str) -> None:
        folder, name = self._place(path)
        if self.find(path).entries:
            raise OSError(errno.ENOTEMPTY, path)
        self._name(folder, name, None)

    def rename(self, old: str, new: str) -> None:
        inode = self.find(old)
        source, name = self._place(old)
        folder, new_name = self._place(new)
        replaced = self._inodes.get(folder.entries.get(new_name, 0))
        if replaced is inode:
            return
        if replaced is not None and replaced.entries:
            raise OSError(errno.ENOTEMPTY, new)
        self._name(folder, new_name, inode)
        self._name(source, name, None)

    def _name(self, folder: Inode, name: str, inode: Inode | None) -> None:
        old = folder.entries.pop(name, None)
        if inode is not None:
            folder.entries[name] = inode.number
            inode.links += 1
        if old is not None:
            self._inodes[old].links -= 1
            self._drop(self._inodes[old])
        folder.changed.add(name)
        self._touch(folder)

    def _drop(self, inode: Inode) -> None:
        """Forget an inode that has neither name nor handle; the log may have it still."""
        if not inode.links and not inode.handles:
            self._inodes.pop(inode.number, None)
            self._dirty.pop(inode.number, None)

    def hold(self, inode: Inode) -> None:
        """Open it once more: it stays when its last name goes."""
        inode.handles += 1

    def release(self, inode: Inode) -> None:
        inode.handles -= 1
        self._drop(inode)

    def write(self, inode: Inode, offset: int, data: bytes) -> None:
        end = offset + len(data)
        if end > len(inode.content):
            resize(inode.content, end)
        inode.content[offset:end] = data
        inode.dirty.update(range(offset // SECTOR, -(-end // SECTOR)))
        self._touch(inode)

    def truncate(self, inode: Inode, size: int) -> None:
        if size < len(inode.content):
            inode.kept = size if inode.kept is None else min(inode.kept, size)
            inode.dirty = {sector for sector in inode.dirty if sector * SECTOR < size}
        resize(inode.content, size)
        self._touch(inode)

    def _touch(self, inode: Inode) -> None:
        inode.mtime = time.time_ns()
        self._dirty[inode.number] = inode
        if self._chance is not None and self._chance.random() < self._rate:
            self._write_back(self._chance)

    def _write_back(self, chance: Random) -> None:
        """Some of one inode becomes durable, although nobody asked for it."""
        inode = self._dirty[chance.choice(list(self._dirty))]
        if inode.is_folder:
            self._sync_names(inode, {chance.choice(sorted(inode.changed))})
        else:
            self._sync_bytes(inode, {one for one in inode.dirty if chance.random() < 0.5})

    def sync(self, inode: Inode) -> None:
        """Make a file's bytes durable, or a folder's names."""
        if inode.is_folder:
            self._sync_names(inode, inode.changed)
        else:
            self._sync_bytes(inode, inode.dirty)

    def _sync_names(self, folder: Inode, names: set[str]) -> None:
        for name in sorted(names):
            inode = self._inodes.get(folder.entries.get(name, 0))
            number, mode = (None, 0) if inode is None else (inode.number, inode.mode)
            self._platter.append(Entry(folder.number, name, number, mode))
        folder.changed = folder.changed - names
        self._settle(folder)

    def _sync_bytes(self, inode: Inode, sectors: set[int]) -> None:
        size = len(inode.content)
        kept = size if inode.kept is None else inode.kept
        found = pieces(inode, sectors)
        self._platter.append(Content(inode.number, inode.mode, inode.mtime, kept, size, found))
        inode.dirty, inode.kept = inode.dirty - sectors, None
        self._settle(inode)

    def _settle(self, inode: Inode) -> None:
        if not inode.dirty and not inode.changed:
            self._dirty.pop(inode.number, None)
