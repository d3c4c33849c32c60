# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import errno
import hashlib
import os
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cais_registry.model.digest import Digest
from cais_registry.model.errors import StorageFull
from cais_registry.stores.files import Files
from cais_registry.stores.layout import blob_key
from cais_registry.stores.upload_file import UploadFile, is_busy
from support.registry import wait_until

KEY = blob_key(Digest.of(b"bytes"), "upload")
OTHER = blob_key(Digest.of(b"bytes"), "other")


async def test_bytes_whose_fsync_failed_are_not_believed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: int) -> None:
        raise OSError(errno.EIO, "the disk failed")

    files = Files(tmp_path)
    (tmp_path / "other").write_bytes(b"")
    with (tmp_path / "other").open("rb") as other:  # the folders above are there after it
        assert files.publish(tmp_path / "other", OTHER, other.fileno())
    with ThreadPoolExecutor(1) as pool:
        file = UploadFile(tmp_path / "upload", pool, None, files)
        file.hash_with("sha256")
        await file.write([b"bytes"])
        monkeypatch.setattr(os, "fsync", broken)
        with pytest.raises(OSError, match="the disk failed"):
            await file.publish(KEY)
        assert (file.size, file.hasher) == (0, None)
        assert not (tmp_path / "upload").exists()
        assert (tmp_path / KEY).stat().st_size == 0
        file.close()


async def test_bytes_and_hash_agree_when_the_kernel_takes_less_than_it_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def little(descriptor: int, pieces: Iterable[memoryview]) -> int:
        return os.write(descriptor, b"".join(pieces)[:7])

    monkeypatch.setattr(os, "writev", little)
    pieces = [b"one", b"", b"two and three and four", b"five", *[b"."] * 1100, b""]
    with ThreadPoolExecutor(1) as pool:
        file = UploadFile(tmp_path / "upload", pool, None, Files(tmp_path))
        file.hash_with("sha256")
        await file.write(pieces)
        await file.flush()
        assert (tmp_path / "upload").read_bytes() == b"".join(pieces)
        assert await file.digest("sha256") == Digest.of(b"".join(pieces))
        file.close()


async def test_what_fitted_on_a_full_disk_is_kept_with_its_hash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int, pieces: Iterable[memoryview]) -> int:
        if os.fstat(descriptor).st_size:
            raise OSError(errno.ENOSPC, "No space left on device")
        return os.write(descriptor, b"".join(pieces)[:5])

    monkeypatch.setattr(os, "writev", full)
    with ThreadPoolExecutor(1) as pool:
        file = UploadFile(tmp_path / "upload", pool, None, Files(tmp_path))
        file.hash_with("sha256")
        await file.write([b"one", b"two"])
        for _ in range(2):
            with pytest.raises(StorageFull):
                await file.flush()
        hasher, size = file.hasher or (None, 0)
        assert hasher is not None
        assert (hasher.digest(), size) == (hashlib.sha256(b"onetw").digest(), 5)
        file.close()


async def test_an_upload_stays_locked_until_what_came_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = threading.Event()

    def slow(descriptor: int, pieces: Iterable[memoryview]) -> int:
        assert go_on.wait(30)
        return os.write(descriptor, b"".join(pieces))

    monkeypatch.setattr(os, "writev", slow)
    with ThreadPoolExecutor(1) as pool:
        file = UploadFile(tmp_path / "upload", pool, None, Files(tmp_path))
        await file.write([b"one"])
        await file.write([b"two"])
        file.close()
        assert is_busy(tmp_path / "upload")
        go_on.set()
        wait_until(lambda: not is_busy(tmp_path / "upload"), what="the file is unlocked")
    assert (tmp_path / "upload").read_bytes() == b"onetwo"
