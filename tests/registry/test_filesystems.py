# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from cais_registry.stores.filesystems import ALLOWED, is_network, kind_of, problem

MOUNTS = """\
22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw
30 22 0:26 / /data rw - nfs4 server:/export rw
31 30 0:27 / /data/local rw - xfs /dev/vdb rw
32 22 0:28 / /with\\040space rw master:3 propagate_from:2 - fuse.sshfs host: rw
33 22 0:29 / /database rw - btrfs /dev/vdc rw
"""


@pytest.mark.parametrize(
    ("path", "kind", "network"),
    [
        ("/", "ext4", False),
        ("/var/lib", "ext4", False),
        ("/data", "nfs4", True),
        ("/data/x/y", "nfs4", True),
        ("/data/local/x", "xfs", False),
        ("/with space/x", "fuse.sshfs", True),
        ("/database", "btrfs", False),
    ],
)
def test_the_kind_of_file_system_is_found(path: str, kind: str, network: bool) -> None:
    found = kind_of(MOUNTS, Path(path))
    assert (found, is_network(found)) == (kind, network)


@pytest.mark.parametrize(
    "kind",
    [
        "nfs", "cifs", "smb3", "9p", "ceph", "lustre", "beegfs", "wekafs", "vboxsf",
        "fuse.s3fs", "fuse.glusterfs", "fuse.ceph-fuse", "fuse.sshfs", "fuse.rclone",
        "fuse.blobfuse2", "fuse.juicefs", "fuse.seaweedfs", "fuse.mfs",
    ],
)  # fmt: skip
def test_a_network_file_system_is_refused_whatever_the_folder_says(
    tmp_path: Path, kind: str
) -> None:
    (tmp_path / ALLOWED).write_text(kind)
    assert f"on a network file system ({kind})" in (problem(tmp_path, kind) or "")


@pytest.mark.parametrize(
    "kind",
    [
        "ext4", "xfs", "btrfs", "zfs", "overlay", "tmpfs", "virtiofs", "gfs2", "ocfs2",
        "fuseblk", "fuse.mergerfs", "fuse.fuse-overlayfs",
    ],
)  # fmt: skip
def test_a_file_system_of_one_machine_is_taken(tmp_path: Path, kind: str) -> None:
    assert problem(tmp_path, kind) is None


@pytest.mark.parametrize("kind", ["fuse", "fuse.unheard-of"])
def test_what_may_be_anything_is_refused_until_somebody_vouches_for_it(
    tmp_path: Path, kind: str
) -> None:
    assert f"write {kind} into {tmp_path / ALLOWED}" in (problem(tmp_path, kind) or "")
    for other in (b"", b"\xff", b"fuse.other", kind.encode() * 100):
        (tmp_path / ALLOWED).write_bytes(other)
        assert problem(tmp_path, kind)
    (tmp_path / ALLOWED).write_text(f"{kind}\n")
    assert problem(tmp_path, kind) is None
