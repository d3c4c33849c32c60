# SPDX-License-Identifier: Apache-2.0
"""File systems in image files on the node, by the node's own tools."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

FOLDER = "/var/local/cais-volumes"
LOOP_DEVICES = 128
RESOURCE_CAPABILITY = 1 << 24


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSystem:
    """A kind of file system that grows while it is mounted.

    Attributes:
        make: Command that makes one in an image file.
        grow: Command that grows it; gets the mounted folder, or the device.
        grows_by_device: Whether `grow` wants the device.
    """

    make: tuple[str, ...]
    grow: tuple[str, ...]
    grows_by_device: bool


EXT4 = FileSystem(
    make=("mkfs.ext4", "-q", "-F", "-m", "0"), grow=("resize2fs",), grows_by_device=True
)
# XFS in sizes that are fine for tests only, and without what it sets aside for sharing blocks
XFS = FileSystem(
    make=("mkfs.xfs", "-q", "-f", "--unsupported", "-m", "reflink=0,rmapbt=0"),
    grow=("xfs_growfs",),
    grows_by_device=False,
)


def file_system(process_status: str) -> FileSystem:
    """Return what to use here: ext4, or XFS where ext4 could not grow.

    Args:
        process_status: Text of `/proc/self/status`. ext4 grows only by who has CAP_SYS_RESOURCE.
    """
    for line in process_status.splitlines():
        if line.startswith("CapEff:") and int(line.split()[1], 16) & RESOURCE_CAPABILITY:
            return EXT4
    return XFS


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """The node whose first process we see as process 1.

    Attributes:
        kind: The file system of new volumes.
    """

    kind: FileSystem

    @staticmethod
    def here() -> "Node":
        """Return the node this process runs on."""
        return Node(kind=file_system(Path("/proc/self/status").read_text()))

    @staticmethod
    def path(name: str) -> str:
        """Return where the file system of the volume `name` is mounted."""
        return f"{FOLDER}/{name}"

    @staticmethod
    def volume(name: str) -> str:
        """Return the folder that pods get: inside the file system, so never there unmounted."""
        return f"{Node.path(name)}/volume"

    @staticmethod
    def image(name: str) -> str:
        """Return the image file of the volume `name`."""
        return f"{FOLDER}/{name}.image"

    def prepare(self) -> None:
        """Make the folder and the device files: a node's /dev has only those of its start."""
        self._run("mkdir", "-p", FOLDER)
        devices = f"for n in $(seq 0 {LOOP_DEVICES - 1}); do [ -e /dev/loop$n ] || "
        self._run("sh", "-c", devices + "mknod /dev/loop$n b 7 $n; done")

    def create(self, name: str, size: int) -> None:
        """Make and mount a file system of `size` bytes; nothing when it is there."""
        image = self.image(name)
        if not self._succeeds("test", "-e", image):
            self._run("rm", "-f", f"{image}.new")
            self._run("truncate", "-s", str(size), f"{image}.new")
            self._run(*self.kind.make, f"{image}.new")
            self._run("mv", f"{image}.new", image)
        self.mount(name)
        self._run("mkdir", "-p", self.volume(name))

    def mount(self, name: str) -> None:
        """Mount a volume unless it is mounted; the loop device goes with the mount."""
        path = self.path(name)
        if not self._succeeds("mountpoint", "-q", path):
            self._run("mkdir", "-p", path)
            self._run("mount", "-o", "loop", self.image(name), path)

    def grow(self, name: str, size: int) -> None:
        """Grow a mounted file system to `size` bytes, while it is used."""
        path = self.path(name)
        self._run("truncate", "-s", str(size), self.image(name))
        device = self._run("findmnt", "-n", "-o", "SOURCE", "--mountpoint", path).strip()
        self._run("losetup", "-c", device)
        self._run(*self.kind.grow, device if self.kind.grows_by_device else path)

    def remove(self, name: str) -> None:
        """Unmount and remove a volume and all that is in it."""
        path = self.path(name)
        if self._succeeds("mountpoint", "-q", path):
            self._run("umount", path)
        self._run("rm", "-rf", "--one-file-system", path, self.image(name))

    def _succeeds(self, *command: str) -> bool:
        return subprocess.run(_there(command), check=False, capture_output=True).returncode == 0

    def _run(self, *command: str) -> str:
        done = subprocess.run(_there(command), check=False, capture_output=True, text=True)
        if done.returncode:
            raise OSError(f"{' '.join(command)}: {done.stderr.strip()}")
        return done.stdout


def _there(command: tuple[str, ...]) -> list[str]:
    return ["nsenter", "--target", "1", "--mount", "--", *command]
