# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cais_registry.stores import write_back
from cais_registry.stores.files import Files
from cais_registry.stores.upload_file import UploadFile
from cais_registry.stores.write_back import STEP

HALF = bytes(STEP // 2)


@pytest.mark.parametrize(
    ("before", "written", "asked"),
    [
        (b"", [b"small"], []),
        (b"", [bytes(STEP - 1)], []),
        (b"", [HALF] * 3, [(0, STEP)]),
        (b"", [HALF] * 4, [(0, STEP), (STEP, STEP)]),
        (b"", [bytes(3 * STEP + 1)], [(0, 3 * STEP)]),
        (b"before", [HALF], []),
        (b"before", [HALF, HALF], [(6, STEP - 6)]),
    ],
)
async def test_an_upload_is_written_back_in_whole_steps(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    before: bytes,
    written: list[bytes],
    asked: list[tuple[int, int]],
) -> None:
    calls: list[tuple[int, int]] = []

    def record(_descriptor: int, start: int, count: int, _flags: int) -> int:
        calls.append((start, count))
        return -1  # a file system that cannot: nothing comes of it

    monkeypatch.setattr(write_back, "_sync_file_range", lambda: record)
    (tmp_path / "upload").write_bytes(before)
    with ThreadPoolExecutor(1) as pool:
        file = UploadFile(tmp_path / "upload", pool, None, Files(tmp_path))
        for piece in written:
            await file.write([piece])
        await file.flush()
        file.close()
    assert calls == asked


def test_a_c_library_without_the_call_is_none_to_fail_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ctypes.CDLL", lambda _: object())
    write_back._sync_file_range.cache_clear()
    try:
        write_back.WriteBack(-1, 0).grown(STEP)
    finally:
        write_back._sync_file_range.cache_clear()
