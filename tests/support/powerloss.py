# SPDX-License-Identifier: Apache-2.0
"""A mounted disk whose power can be cut, for any program to run on.

Needs root, /dev/fuse and libfuse.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from support.registry import wait_until

LOCAL = "mergerfs"
"""A file system over FUSE that is known to be of one machine, as the disk is."""


class PowerLossDisk:
    """A mounted disk whose power can be cut.

    Attributes:
        folder: Where it is mounted while the power is on.
    """

    def __init__(self, place: Path, kind: str) -> None:
        self._kind = kind
        self.folder = place / "disk"
        self._state = place / "platter"
        self._process: subprocess.Popen[bytes] | None = None
        self.folder.mkdir()
        self._state.mkdir()

    def power_on(self, seed: int | None = None) -> None:
        """Mount what is durable.

        Args:
            seed: Of the chance by which unsynced parts become durable; None for none ever.
        """
        arguments = [str(self.folder), str(self._state), self._kind]
        arguments += [] if seed is None else [str(seed)]
        process = subprocess.Popen(
            [sys.executable, "-m", "support.fuse_disk", *arguments],
            cwd=Path(__file__).parents[1],
        )
        self._process = process
        wait_until(partial(_is_mounted, self.folder, process), what="the disk is mounted")

    def cut_power(self) -> None:
        """From here on only what is durable was ever there; nothing is mounted any more."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            subprocess.run(["umount", "--lazy", self.folder], check=True)

    @contextmanager
    def slow_syncs(self) -> Iterator[None]:
        """No sync of a file ends within the block."""
        hold = self._state / "hold"
        hold.touch()
        try:
            yield
        finally:
            hold.unlink()

    def wait_held(self) -> None:
        """Wait until some program waits for a sync."""
        wait_until((self._state / "held").exists, what="somebody waits for a sync")


def _is_mounted(folder: Path, process: subprocess.Popen[bytes]) -> bool:
    assert process.poll() is None, "the file system has ended"
    return folder.is_mount()


@contextmanager
def power_loss_disk(place: Path, kind: str = LOCAL) -> Iterator[PowerLossDisk]:
    """A disk with its power off; whatever happens, nothing stays mounted.

    Args:
        place: Where it has its folders.
        kind: What it calls itself: a server does not work on any file system.
    """
    disk = PowerLossDisk(place, kind)
    try:
        yield disk
    finally:
        disk.cut_power()
