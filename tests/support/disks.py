# SPDX-License-Identifier: Apache-2.0
"""Small disks that a test can really fill: ext4 on a file, through a loop device (needs root)."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def ext4(folder: Path, *, mib: int = 64, inodes: int = 4096) -> Iterator[None]:
    """Mount a new file system on a folder; it and its device are gone afterwards."""
    folder.mkdir()
    image = folder.with_suffix(".img")
    with image.open("wb") as file:
        file.truncate(mib << 20)
    subprocess.run(["mkfs.ext4", "-q", "-m", "0", "-N", str(inodes), image], check=True)
    subprocess.run(["mount", "-o", "loop", image, folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", folder], check=True)  # the device goes with the mount
        image.unlink()


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
        subprocess.run(["sync", "-f", folder], check=True)


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
