# SPDX-License-Identifier: Apache-2.0
"""What a disk has for good: records of bytes and names that became durable, in order."""

from __future__ import annotations

import os
import pickle
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

ROOT = 1
FOLDER_MODE = stat.S_IFDIR | 0o755


@dataclass
class Inode:
    """A file or folder.

    Attributes:
        number: Never used again, also not after the power was cut.
        mode: Type and permissions.
        mtime: In nanoseconds since 1970.
        content: Bytes of a file.
        entries: Names in a folder, with the inodes' numbers.
        links: Names that the inode has.
        handles: How often it is open.
        dirty: Sectors whose bytes are not durable.
        kept: The smallest size since the last sync, if it ever shrank: bytes after it are new.
        changed: Names in a folder that are not durable, or whose end is not.
    """

    number: int
    mode: int
    mtime: int = 0
    content: bytearray = field(default_factory=bytearray)
    entries: dict[str, int] = field(default_factory=dict)
    links: int = 0
    handles: int = 0
    dirty: set[int] = field(default_factory=set)
    kept: int | None = None
    changed: set[str] = field(default_factory=set)

    @property
    def is_folder(self) -> bool:
        return stat.S_ISDIR(self.mode)


@dataclass(frozen=True)
class Content:
    """Size and some bytes of a file become durable."""

    number: int
    mode: int
    mtime: int
    kept: int
    size: int
    pieces: tuple[tuple[int, bytes], ...]

    def apply(self, inodes: dict[int, Inode]) -> None:
        inode = inodes.setdefault(self.number, Inode(self.number, self.mode))
        inode.mode, inode.mtime = self.mode, self.mtime
        resize(inode.content, min(self.kept, self.size, len(inode.content)))
        resize(inode.content, self.size)
        for offset, piece in self.pieces:
            inode.content[offset : offset + len(piece)] = piece


@dataclass(frozen=True)
class Entry:
    """A name in a folder, or the end of one, becomes durable; the inode's bytes do not."""

    folder: int
    name: str
    number: int | None
    mode: int

    def apply(self, inodes: dict[int, Inode]) -> None:
        entries = inodes.setdefault(self.folder, Inode(self.folder, FOLDER_MODE)).entries
        if self.number is None:
            entries.pop(self.name, None)
        else:
            entries[self.name] = self.number
            inodes.setdefault(self.number, Inode(self.number, self.mode))


Record: TypeAlias = Content | Entry


def resize(content: bytearray, size: int) -> None:
    del content[size:]
    content.extend(bytes(size - len(content)))


def records(log: Path) -> Iterator[Record]:
    """What is durable, in order; a record that the end of the power has torn never was."""
    if not log.exists():
        return
    with log.open("rb") as file:
        while True:
            try:
                record: Record = pickle.load(file)  # noqa: S301 - our own file
            except (EOFError, pickle.UnpicklingError):
                return
            yield record


def reachable(inodes: dict[int, Inode]) -> dict[int, Inode]:
    """Inodes that have a name; the space of others is free again. Counts their names."""
    found: dict[int, Inode] = {}
    waiting = [ROOT]
    while waiting:
        inode = inodes[waiting.pop()]
        inode.links += 1
        if inode.number not in found:
            found[inode.number] = inode
            waiting.extend(inode.entries.values())
    return found


class Platter:
    """The records, in a file."""

    def __init__(self, log: Path) -> None:
        """Take what is durable, and begin a new file with it.

        Args:
            log: The file; made when missing.
        """
        inodes = {ROOT: Inode(ROOT, FOLDER_MODE)}
        for record in records(log):
            record.apply(inodes)
        self.newest = max(inodes)
        self.inodes = reachable(inodes)
        fresh = log.with_suffix(".new")
        self._log = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
        for inode in self.inodes.values():
            self._copy(inode)
        fresh.rename(log)

    def _copy(self, inode: Inode) -> None:
        if not inode.is_folder:
            size, piece = len(inode.content), (0, bytes(inode.content))
            self.append(Content(inode.number, inode.mode, inode.mtime, size, size, (piece,)))
        for name, number in inode.entries.items():
            self.append(Entry(inode.number, name, number, self.inodes[number].mode))

    def append(self, record: Record) -> None:
        """Make something durable."""
        view = memoryview(pickle.dumps(record))
        while view:
            view = view[os.write(self._log, view) :]

    def close(self) -> None:
        """Nothing more becomes durable."""
        os.close(self._log)
