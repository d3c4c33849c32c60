# SPDX-License-Identifier: Apache-2.0
"""A large upload goes to the disk while it comes, and no failure of the disk is lost by that."""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from cais_registry.model.digest import Digest
from cais_registry.model.errors import StorageFull
from cais_registry.stores.files import Files
from cais_registry.stores.layout import blob_key
from cais_registry.stores.upload_file import UploadFile
from cais_registry.stores.write_back import STEP
from support.disks import ext4, ext4_over_tmpfs
from support.registry import running, wait_until

MIB = 1 << 20
SECTOR = 512
BEFORE_THE_KERNEL_WOULD = 20.0
"""Seconds; by itself it begins with pages that are 30 s old, or when they are a tenth of memory."""


def written(folder: Path) -> int:
    """Bytes that were written to the disk below a folder."""
    device = folder.stat().st_dev
    name = f"/sys/dev/block/{os.major(device)}:{os.minor(device)}/stat"
    return int(Path(name).read_text().split()[6]) * SECTOR


def test_most_of_a_large_upload_is_on_the_disk_before_its_end_comes(tmp_path: Path) -> None:
    with ext4(tmp_path / "data", mib=96), running(tmp_path) as server, server.socket() as client:
        upload = server.ask("POST", "/v2/app/blobs/uploads/")["Location"]
        before = written(server.data)
        head = f"PATCH {upload} HTTP/1.1\r\nHost: x\r\nContent-Length: {5 * STEP}\r\n\r\n"
        client.sendall(head.encode() + os.urandom(4 * STEP))
        wait_until(
            lambda: written(server.data) - before >= 3 * STEP,
            what="the disk is given bytes of an upload that is not at its end",
            deadline=BEFORE_THE_KERNEL_WOULD,
        )
        client.sendall(os.urandom(STEP))
        assert client.recv(65536).startswith(b"HTTP/1.1 202 ")


@pytest.mark.parametrize("opened_again", [False, True])
async def test_what_the_disk_did_not_take_early_is_told_at_the_end(
    tmp_path: Path, *, opened_again: bool
) -> None:
    folder = tmp_path / "data"
    path, key = folder / "upload", blob_key(Digest.of(b""), "upload")
    with ext4_over_tmpfs(folder) as fail, ThreadPoolExecutor(1) as pool, ExitStack() as stack:
        files = Files(folder)
        path.touch()
        (folder / key).parent.mkdir(parents=True)
        fail()
        file = stack.enter_context(closing(UploadFile(path, pool, None, files)))
        await file.write([os.urandom(MIB)] * (2 * STEP // MIB))
        await file.flush()
        # waits until all has gone to the disk, or failed to, and leaves it to others to hear of it
        await (await asyncio.create_subprocess_exec("sync", "-f", folder)).wait()
        if opened_again:
            stack.close()
            file = stack.enter_context(closing(UploadFile(path, pool, None, files)))
        with pytest.raises(StorageFull):
            await file.publish(key)
        assert file.size == 0  # the bytes failed, after they had their name
