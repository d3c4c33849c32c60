# SPDX-License-Identifier: Apache-2.0
"""What the cluster needs of the machine, and how the machine gets back what it had."""

import contextlib
import importlib.util
import json
import os
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import debian
from clusterkit import process
from clusterkit.command import ClusterError, output, say
from clusterkit.places import CGROUP

# file whose presence shows that the package is there -> Debian package
PACKAGES = {
    "/usr/sbin/dockerd": "docker.io",
    "/usr/bin/containerd": "containerd",
    "/usr/sbin/debootstrap": "debootstrap",
    "/usr/include/seccomp.h": "libseccomp-dev",
    "/usr/bin/pkg-config": "pkg-config",
    "/usr/bin/gcc": "gcc",
    "/usr/include/stdlib.h": "libc6-dev",
    "/usr/sbin/iptables": "iptables",
    "/usr/sbin/nft": "nftables",
    "/sbin/ip": "iproute2",
    "/sbin/mkfs.ext4": "e2fsprogs",
    "/usr/bin/jq": "jq",
    "/usr/bin/nsenter": "util-linux",
    "/usr/bin/setpriv": "util-linux",
    "/etc/ssl/certs/ca-certificates.crt": "ca-certificates",
}
# what kubelets set for the whole machine
SETTINGS = (
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
)
FOLDERS = ("/lib/modules",)  # nodes are given it, so the engine makes it where there is none
RESOURCE_CAPABILITY = 1 << 24


def absent_packages(root: Path) -> list[str]:
    """Return the Debian packages that `root` lacks."""
    absent = (package for file, package in PACKAGES.items() if not (root / file[1:]).exists())
    return sorted(set(absent))


def absent_python(find: Callable[[str], object | None]) -> list[str]:
    """Return the Debian packages of what this Python lacks: pip fetches the images' wheels.

    Args:
        find: Looks a module up (`importlib.util.find_spec`).
    """
    return [] if find("pip") else ["python3-pip"]


def install_packages() -> None:
    """Install the Debian packages that are missing.

    Raises:
        ClusterError: Not root, or no Debian, or a package cannot be had.
    """
    absent = absent_packages(Path("/")) + absent_python(importlib.util.find_spec)
    if not absent:
        return
    say(f"installing {' '.join(absent)}")
    try:
        debian.install(absent)
    except (debian.DebianError, subprocess.CalledProcessError) as error:
        raise ClusterError(str(error)) from error


def has_resource_capability() -> bool:
    """Tell whether a process of this machine may have CAP_SYS_RESOURCE."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapBnd:"):
            return bool(int(line.split()[1], 16) & RESOURCE_CAPABILITY)
    return False


def has_unified_cgroups() -> bool:
    """Tell whether the machine has cgroup v2 only."""
    return Path("/sys/fs/cgroup/cgroup.controllers").exists()


def remember(path: Path) -> None:
    """Write down what nodes are going to change machine-wide: settings, and folders they make."""
    files = {name: Path("/proc/sys", name) for name in SETTINGS}
    values = {name: file.read_text().strip() for name, file in files.items() if file.exists()}
    absent = [folder for folder in FOLDERS if not Path(folder).exists()]
    path.write_text(json.dumps({"settings": values, "absent": absent}))


def restore(path: Path) -> None:
    """Set the machine back to what was written down; nothing when nothing was."""
    try:
        before = json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return
    for name, value in before["settings"].items():
        file = Path("/proc/sys", name)
        if name in SETTINGS and file.read_text().strip() != value:
            file.write_text(value)
    for folder in before["absent"]:
        if folder in FOLDERS:
            with contextlib.suppress(OSError):
                Path(folder).rmdir()


def has_link(name: str) -> bool:
    """Tell whether the machine has a network link of this name."""
    return Path("/sys/class/net", name).exists()


def remove_link(name: str) -> None:
    """Remove a network link; its namespace may already have taken it along."""
    if has_link(name):
        output(["ip", "link", "delete", name])
    if not process.wait_until(lambda: not has_link(name), seconds=20):
        raise ClusterError(f"the network link {name} does not go away")


def _trees() -> list[Path]:
    root = Path("/sys/fs/cgroup")
    return [root / CGROUP, *root.glob(f"*/{CGROUP}")]


def thaw() -> None:
    """Let frozen processes of the cluster go on, so that they can end.

    A runtime freezes a container to end or to measure it; killed in between, it leaves processes
    that not even SIGKILL ends.
    """
    for tree in _trees():
        for name, value in (("freezer.state", "THAWED"), ("cgroup.freeze", "0")):
            for file in tree.rglob(name):
                with contextlib.suppress(OSError):  # it may be gone by now
                    file.write_text(value)


def remove_cgroups() -> None:
    """Remove the cgroups of the cluster in every hierarchy.

    Raises:
        ClusterError: One of them still holds a process.
    """
    trees = _trees()
    if not process.wait_until(lambda: _remove_trees(trees), seconds=20):
        left = ", ".join(str(tree) for tree in trees if tree.exists())
        raise ClusterError(f"these cgroups still hold processes: {left}")
    for controller in hidden_controllers(Path("/proc/cgroups").read_text()):
        _clean_hidden(controller)


def hidden_controllers(text: str) -> list[str]:
    """Return the v1 controllers that hold more than their root, from `/proc/cgroups`."""
    rows = [line.split() for line in text.splitlines() if not line.startswith("#")]
    return [name for name, hierarchy, count, _ in rows if hierarchy != "0" and int(count) > 1]


def _clean_hidden(controller: str) -> None:
    # A node's init system mounts hierarchies that the machine does not; groups outlive it there.
    mounts = Path("/proc/mounts").read_text()
    mounted = any(
        line.split()[2] == "cgroup" and controller in line.split()[3].split(",")
        for line in mounts.splitlines()
    )
    if mounted:
        return
    with tempfile.TemporaryDirectory() as folder:
        if output(["mount", "-t", "cgroup", "-o", controller, "cgroup", folder]) is None:
            return
        try:
            _remove_trees([Path(folder, CGROUP)])
        finally:
            output(["umount", folder])


def _remove_trees(trees: list[Path]) -> bool:
    thaw()
    for tree in trees:
        for folder, _, _ in os.walk(tree, topdown=False):
            with contextlib.suppress(OSError):
                Path(folder).rmdir()
    return not any(tree.exists() for tree in trees)
