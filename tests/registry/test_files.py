# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from threading import Thread

import pytest

from cais_registry.model.digest import Digest
from cais_registry.model.errors import StorageFull
from cais_registry.stores.files import Files
from cais_registry.stores.layout import blob_key, make, manifest_key
from support.syncs import watch_syncs

DIGEST = Digest.of(b"content")
KEY = blob_key(DIGEST, "u1")


@pytest.fixture
def files(tmp_path: Path) -> Files:
    make(tmp_path)
    (tmp_path / "uploads" / "u1").write_bytes(b"content")
    return Files(tmp_path)


def publish(files: Files, source: str, key: str) -> bool:
    descriptor = os.open(files.path(source), os.O_RDWR | os.O_CREAT)
    try:
        return files.publish(files.path(source), key, descriptor)
    finally:
        os.close(descriptor)


def test_bytes_are_moved_to_their_key(files: Files) -> None:
    assert publish(files, "uploads/u1", KEY)
    assert files.size(KEY) == 7
    descriptor = files.open(KEY)
    assert descriptor is not None
    assert os.read(descriptor, 100) == b"content"
    os.close(descriptor)
    assert files.size("uploads/u1") is None


def test_what_was_dropped_cannot_be_moved(files: Files, tmp_path: Path) -> None:
    with (tmp_path / "uploads" / "u1").open("rb") as opened:
        assert files.delete(["uploads/u1"]) == ["uploads/u1"]
        assert not files.publish(files.path("uploads/u1"), KEY, opened.fileno())
    assert files.size(KEY) is None
    assert files.open(KEY) is None


def test_bytes_and_every_new_name_are_made_durable(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced = watch_syncs(monkeypatch)
    assert publish(files, "uploads/u1", KEY)
    names = [path.name for path in synced]
    assert {"blobs", "sha256", DIGEST.encoded[:2], DIGEST.encoded, "u1"} <= set(names)
    assert names.index("sha256") < names.index(DIGEST.encoded)


def test_deleting_is_durable_and_can_be_repeated(
    files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(files, "uploads/u1", KEY)
    synced = watch_syncs(monkeypatch)
    keys = [KEY, "blobs/sha256/00/none/none", "uploads/none"]
    assert files.delete(keys) == keys
    assert synced
    assert files.delete(keys) == keys
    assert not list((tmp_path / "blobs" / "sha256" / DIGEST.encoded[:2]).iterdir())


def test_what_a_killed_server_deleted_is_made_durable_by_the_next_one(
    files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(files, "uploads/u1", KEY)
    (tmp_path / KEY).unlink()
    (tmp_path / KEY).parent.rmdir()
    synced = watch_syncs(monkeypatch)
    assert files.delete([KEY]) == [KEY]
    assert synced == [(tmp_path / KEY).parent.parent]


def test_a_copy_beside_another_stays_when_that_is_deleted(files: Files, tmp_path: Path) -> None:
    (tmp_path / "uploads" / "u2").write_bytes(b"content")
    publish(files, "uploads/u1", KEY)
    publish(files, "uploads/u2", blob_key(DIGEST, "u2"))
    files.delete([KEY])
    assert files.size(blob_key(DIGEST, "u2")) == 7


def test_moving_and_removing_the_same_folder_at_once(files: Files, tmp_path: Path) -> None:
    def push(first: int) -> None:
        for number in range(first, first + 100):
            (tmp_path / "uploads" / str(number)).write_bytes(b"x")
            assert publish(files, f"uploads/{number}", blob_key(DIGEST, str(number)))
            files.delete([blob_key(DIGEST, str(number))])

    threads = [Thread(target=push, args=(first,)) for first in (1000, 2000, 3000)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert not [p for p in (tmp_path / "uploads").iterdir() if p.name != "u1"]


def test_a_small_file_is_written_and_written_again(files: Files) -> None:
    key = manifest_key(DIGEST, "m1")
    files.write(key, b"half")
    files.write(key, b"content")
    assert files.size(key) == 7


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize(
    "act",
    [lambda f: publish(f, "uploads/u1", KEY), lambda f: f.write(manifest_key(DIGEST, "m"), b"x")],
)
def test_a_full_disk_is_told_as_such(
    files: Files, monkeypatch: pytest.MonkeyPatch, code: int, act: Callable[[Files], None]
) -> None:
    def full(path: Path, **_: object) -> None:
        raise OSError(code, os.strerror(code), path)

    monkeypatch.setattr(Path, "mkdir", full)
    with pytest.raises(StorageFull, match="disk is full"):
        act(files)


def test_space_is_told(files: Files) -> None:
    space = files.space()
    assert 0 < space.available <= space.capacity
