# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from cais_registry.model.digest import Digest
from cais_registry.stores import layout
from cais_registry.stores.layout import (
    UnusableData,
    blob_key,
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
    who = rf"by another server \(process {os.getpid()} on host {socket.gethostname()}, since 20"
    with pytest.raises(UnusableData, match=who):
        lock(tmp_path / "data")
    os.close(held)
    os.close(lock(tmp_path / "data"))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0" * 100,
        b"host=a pid=0 since=2026-11-27T10:00:00Z\n",
        b"host=a pid=1 since=yesterday\n",
        b"host=\x1b[2J pid=1 since=2026-11-27T10:00:00Z\n",
        b"host=" + b"a" * 300 + b" pid=1 since=2026-11-27T10:00:00Z\n",
        b"host=a pid=1 since=2026-11-27T10:00:00Z and more\n",
        b"x" * 1_000_000,
    ],
)
def test_what_is_no_name_of_a_holder_is_not_repeated(tmp_path: Path, content: bytes) -> None:
    held = lock(tmp_path)
    (tmp_path / "lock").write_bytes(content)
    with pytest.raises(UnusableData) as refused:
        lock(tmp_path)
    assert str(refused.value) == f"{tmp_path} is in use by another server: stop that one first"
    os.close(held)


def test_a_shorter_name_takes_the_place_of_a_longer_one(tmp_path: Path) -> None:
    (tmp_path / "lock").write_text("x" * 1000)
    os.close(lock(tmp_path))
    (line,) = (tmp_path / "lock").read_text().splitlines()
    assert line.startswith(f"host={socket.gethostname()} pid={os.getpid()} since=")


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
