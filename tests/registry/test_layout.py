# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cais_registry.model.digest import Digest
from cais_registry.stores import layout
from cais_registry.stores.layout import (
    UnusableData,
    blob_key,
    filesystem,
    is_network,
    lock,
    make,
    manifest_key,
)
from support.syncs import watch_syncs


def test_keys_carry_the_digest_and_something_unique() -> None:
    digest = Digest("sha256", "ab" * 32)
    assert blob_key(digest, "u1") == f"blobs/sha256/ab/{'ab' * 32}/u1"
    assert manifest_key(digest, "u2") == f"manifests/sha256/ab/{'ab' * 32}/u2"


def test_only_one_server_uses_a_folder(tmp_path: Path) -> None:
    held = lock(tmp_path / "data")
    with pytest.raises(UnusableData, match="in use by another server"):
        lock(tmp_path / "data")
    os.close(held)
    os.close(lock(tmp_path / "data"))


def test_the_lock_is_held_until_the_last_heir_has_ended(tmp_path: Path) -> None:
    held = lock(tmp_path)
    heir = subprocess.Popen(
        [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, close_fds=False
    )
    os.close(held)
    try:
        with pytest.raises(UnusableData):
            lock(tmp_path)
    finally:
        heir.communicate(b"\n", timeout=60)
    os.close(lock(tmp_path))


def test_a_folder_is_made_with_all_that_is_in_it(tmp_path: Path) -> None:
    make(tmp_path / "new" / "data")
    assert {p.name for p in (tmp_path / "new" / "data").iterdir()} == {
        "uploads",
        "blobs",
        "manifests",
    }


def test_new_folders_above_the_data_are_durable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced = watch_syncs(monkeypatch)
    layout.make(tmp_path / "a" / "b" / "data")
    assert {tmp_path, tmp_path / "a", tmp_path / "a" / "b"} <= set(synced)


def test_a_folder_that_cannot_be_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UnusableData, match="cannot be used as data folder") as refused:
        make(tmp_path / "file" / "data")
    assert "\n" not in str(refused.value)


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
    found = filesystem(MOUNTS, Path(path))
    assert (found, is_network(found)) == (kind, network)


@pytest.mark.parametrize("kind", ["nfs", "cifs", "smb3", "9p", "fuse.s3fs", "fuse.glusterfs"])
def test_network_file_systems_are_known(kind: str) -> None:
    assert is_network(kind)


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs", "zfs", "overlay", "tmpfs", "fuse.lxcfs"])
def test_local_file_systems_are_known(kind: str) -> None:
    assert not is_network(kind)


def test_a_network_file_system_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "filesystem", lambda mountinfo, path: "nfs4")  # noqa: ARG005 - stands for the real one
    with pytest.raises(UnusableData, match=r"network file system \(nfs4\)"):
        make(tmp_path / "data")
