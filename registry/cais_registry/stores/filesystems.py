# SPDX-License-Identifier: Apache-2.0
"""Which file systems a data folder may be on: those whose locks and shared memory hold."""

from __future__ import annotations

from pathlib import Path
from typing import Final

ALLOWED: Final = "allowed-filesystem"
"""File in a data folder: names a kind of FUSE file system that whoever runs it vouches for."""

_NETWORK: Final = frozenset((
    "9p", "acfs", "afs", "beegfs", "ceph", "cifs", "coda", "gpfs", "lustre", "ncpfs", "nfs",
    "nfs4", "orangefs", "panfs", "prl_fs", "pvfs2", "smb2", "smb3", "smbfs", "vboxsf", "vmhgfs",
    "wekafs",
))  # fmt: skip
_NETWORK_FUSE: Final = frozenset((
    "blobfuse", "blobfuse2", "ceph", "ceph-fuse", "curvefs", "davfs", "davfs2", "gcsfuse",
    "geesefs", "glusterfs", "goofys", "grpcfuse", "hdfs", "juicefs", "mfs", "moosefs",
    "mount-s3", "mountpoint-s3", "rclone", "s3fs", "seaweedfs", "sshfs", "vmhgfs-fuse",
))  # fmt: skip
_LOCAL_FUSE: Final = frozenset((
    "bindfs", "encfs", "exfat", "fuse-overlayfs", "fuse2fs", "gocryptfs", "lxcfs", "mergerfs",
    "ntfs-3g", "unionfs",
))  # fmt: skip
_MOST_BYTES: Final = 200


def problem(data: Path, kind: str) -> str | None:
    """Why a data folder cannot be on a file system of a kind; None if it can.

    Network file systems are refused, and so is FUSE where it is not known what is behind it: it may
    be anything. `ALLOWED` in the folder lets one such kind pass, and none that is known.
    """
    if is_network(kind):
        return (
            f"{data} is on a network file system ({kind}), where SQLite loses data: "
            "use a volume with a local file system (ext4, xfs, ...)"
        )
    if _is_known(kind) or _allowed(data) == kind:
        return None
    return (
        f"{data} is on a file system of the kind {kind}, which may be on a network, where SQLite "
        "loses data: use a volume with a local file system (ext4, xfs, ...); if you know that its "
        f"locks and shared memory are those of one machine, write {kind} into {data / ALLOWED}"
    )


def is_network(kind: str) -> bool:
    """Whether locks and shared memory of a file system of this kind cannot be relied upon."""
    name, _, sub = kind.partition(".")
    return name in _NETWORK or (name == "fuse" and sub in _NETWORK_FUSE)


def _is_known(kind: str) -> bool:
    name, _, sub = kind.partition(".")
    return name != "fuse" or sub in _LOCAL_FUSE


def _allowed(data: Path) -> str:
    try:
        with (data / ALLOWED).open("rb") as file:
            return file.read(_MOST_BYTES).decode("ascii", "replace").strip()
    except OSError:
        return ""


def kind_of(mountinfo: str, path: Path) -> str:
    """The kind of file system that a path is on.

    Args:
        mountinfo: What `/proc/self/mountinfo` holds (proc(5)).
        path: An absolute path without links.

    Returns:
        Such as `ext4`; empty if no mount point is above the path.
    """
    best, kind = "", ""
    for line in mountinfo.splitlines():
        left, _, right = line.partition(" - ")
        point = left.split(" ")[4].encode().decode("unicode_escape")
        if len(point) >= len(best) and path.is_relative_to(point):
            best, kind = point, right.split(" ")[0]
    return kind
