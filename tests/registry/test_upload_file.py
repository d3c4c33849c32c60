# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import errno
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cais_registry.model.digest import Digest
from cais_registry.stores.files import Files
from cais_registry.stores.layout import blob_key
from cais_registry.stores.upload_file import UploadFile

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
