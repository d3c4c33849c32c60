# SPDX-License-Identifier: Apache-2.0
"""File systems in image files on the node, by the node's own tools."""

import subprocess

FOLDER = "/var/local/cais-volumes"
LOOP_DEVICES = 128


class Node:
    """The node whose first process we see as process 1."""

    @staticmethod
    def path(name: str) -> str:
        """Return where the volume `name` is mounted."""
        return f"{FOLDER}/{name}"

    @staticmethod
    def image(name: str) -> str:
        """Return the image file of the volume `name`."""
        return f"{FOLDER}/{name}.ext4"

    def prepare(self) -> None:
        """Make the folder and the device files: a node's /dev has only those of its start."""
        self._run("mkdir", "-p", FOLDER)
        devices = f"for n in $(seq 0 {LOOP_DEVICES - 1}); do [ -e /dev/loop$n ] || "
        self._run("sh", "-c", devices + "mknod /dev/loop$n b 7 $n; done")

    def create(self, name: str, size: int) -> None:
        """Make and mount a file system of `size` bytes; nothing when it is there."""
        image = self.image(name)
        if not self._succeeds("test", "-e", image):
            self._run("truncate", "-s", str(size), f"{image}.new")
            self._run("mkfs.ext4", "-q", "-F", "-m", "0", f"{image}.new")
            self._run("mv", f"{image}.new", image)
        self.mount(name)

    def mount(self, name: str) -> None:
        """Mount a volume unless it is mounted."""
        path = self.path(name)
        if not self._succeeds("mountpoint", "-q", path):
            self._run("mkdir", "-p", path)
            self._run("mount", "-o", "loop", self.image(name), path)

    def grow(self, name: str, size: int) -> None:
        """Grow a mounted file system to `size` bytes, while it is used."""
        image = self.image(name)
        self._run("truncate", "-s", str(size), image)
        device = self._run("findmnt", "-n", "-o", "SOURCE", "--target", self.path(name)).strip()
        self._run("losetup", "-c", device)
        self._run("resize2fs", device)

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
