# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import errno
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cais_registry.stores.files import Files
from cais_registry.stores.upload_file import UploadFile


async def test_bytes_whose_fsync_failed_are_not_believed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: int) -> None:
        raise OSError(errno.EIO, "the disk failed")

    with ThreadPoolExecutor(1) as pool:
        file = UploadFile(tmp_path / "upload", pool, None, Files(tmp_path))
        file.hash_with("sha256")
        await file.write([b"bytes"])
        monkeypatch.setattr(os, "fsync", broken)
        with pytest.raises(OSError, match="the disk failed"):
            await file.sync()
        assert (file.size, file.hasher) == (0, None)
        assert (tmp_path / "upload").stat().st_size == 0
        file.close()
