# SPDX-License-Identifier: Apache-2.0
"""Small disks that a test can really fill: ext4 on a file, through a loop device (needs root)."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path


def run(*command: str | Path) -> None:
    """Run a program that has to succeed."""
    subprocess.run(command, check=True)


@contextmanager
def ext4(folder: Path, *, mib: int = 64, inodes: int = 4096) -> Iterator[None]:
    """Mount a new file system on a folder; it and its device are gone afterwards."""
    folder.mkdir()
    image = folder.with_suffix(".img")
    with image.open("wb") as file:
        file.truncate(mib << 20)
    run("mkfs.ext4", "-q", "-m", "0", "-N", str(inodes), image)
    run("mount", "-o", "loop", image, folder)
    try:
        yield
    finally:
        run("umount", folder)  # the device goes with the mount
        image.unlink()


@contextmanager
def ext4_over_tmpfs(folder: Path, *, mib: int = 64) -> Iterator[Callable[[], None]]:
    """Mount a file system with room on it, on a file of a small tmpfs.

    What is yielded syncs all, then fills the tmpfs: from then on the disk fails each write to a
    block that was never written, and takes others. There is no journal, which would end it all.
    """
    below = folder.with_suffix(".below")
    image, filler = below / "img", below / "filler"

    def fail() -> None:
        run("sync", "-f", folder)
        with suppress(OSError):
            filler.write_bytes(bytes(8 << 20))

    with ExitStack() as stack:
        for made in (below, folder):
            made.mkdir()
        run("mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", below)
        stack.callback(run, "umount", "--lazy", below)
        with image.open("wb") as file:
            file.truncate(mib << 20)
        options = ("-b", "4096", "-m", "0", "-O", "^has_journal")  # one group of blocks
        run("mkfs.ext4", "-q", *options, image)
        run("mount", "-o", "loop", image, folder)
        stack.callback(run, "umount", folder)
        stack.callback(filler.unlink, missing_ok=True)
        yield fail


@contextmanager
def last_byte_taken(folder: Path) -> Iterator[None]:
    """Let somebody else take all that is left of a file system, then give it back."""
    path, size = folder / "somebody-else", 1 << 20
    with path.open("wb", buffering=0) as file:
        while size:
            try:
                file.write(os.urandom(size))
                os.fsync(file.fileno())
            except OSError:
                size //= 2
    try:
        assert os.statvfs(folder).f_bavail == 0
        yield
    finally:
        path.unlink()
        run("sync", "-f", folder)


@contextmanager
def last_file_taken(folder: Path) -> Iterator[None]:
    """Let somebody else make as many files as the file system takes, then remove them."""
    heap = folder / "somebody-else"
    heap.mkdir()
    with suppress(OSError):
        for number in range(100_000):
            (heap / str(number)).touch()
    try:
        assert os.statvfs(folder).f_favail == 0
        yield
    finally:
        shutil.rmtree(heap)
