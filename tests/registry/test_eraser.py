# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from cais_registry.stores import eraser, folders


def filled(root: Path, count: int) -> list[str]:
    """Files, each in a folder of its own."""
    keys = [f"blobs/{number % 7}/{number}/é" for number in range(count)]
    for key in keys:
        (root / key).parent.mkdir(parents=True)
        (root / key).write_bytes(b"x")
    return keys


@pytest.mark.parametrize("count", [2, eraser.MANY, 1000])
def test_few_and_many_files_end_with_their_folders(tmp_path: Path, count: int) -> None:
    keys = filled(tmp_path, count)
    stays = tmp_path / "blobs" / "0" / "0" / "other"
    stays.write_bytes(b"x")
    assert eraser.erase(tmp_path, [*keys, "blobs/none/none/none", "none"]) == []
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [stays]
    assert {path.parent.name for path in tmp_path.glob("blobs/*/*")} == {"0"}


@pytest.mark.parametrize("count", [2, eraser.MANY])
def test_what_cannot_be_deleted_is_named_and_the_rest_goes(tmp_path: Path, count: int) -> None:
    keys = filled(tmp_path, count)
    (tmp_path / keys[1]).unlink()
    (tmp_path / keys[1] / "below").mkdir(parents=True)  # a folder where a file should be
    assert eraser.erase(tmp_path, keys) == [keys[1]]
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_many_are_deleted_by_another_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(root: str, keys: list[str]) -> list[str]:
        raise AssertionError(f"{len(keys)} files of {root} are deleted in this process")

    monkeypatch.setattr(folders, "erase", never)
    assert eraser.erase(tmp_path, filled(tmp_path, eraser.MANY)) == []
    with pytest.raises(AssertionError, match="1 files"):
        eraser.erase(tmp_path, ["few"])


@pytest.mark.parametrize("program", ["", "/nonexistent", "/bin/false"])
def test_files_are_deleted_here_where_no_process_can_do_it(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    program: str,
) -> None:
    monkeypatch.setattr(sys, "executable", program)
    keys = filled(tmp_path, eraser.MANY)
    assert eraser.erase(tmp_path, keys) == []
    assert not any((tmp_path / key).exists() for key in keys)
    assert "a process for it failed" in caplog.text


def test_a_list_whose_end_is_lost_deletes_nothing(tmp_path: Path) -> None:
    keys = filled(tmp_path, 3)
    command = [sys.executable, "-I", "-S", folders.__file__, str(tmp_path)]
    listed = folders.encode(keys)[:-1]  # the server was killed while it wrote
    done = subprocess.run(command, input=listed, capture_output=True, check=False)
    assert done.returncode == 1
    assert b"cut off" in done.stderr
    assert all((tmp_path / key).exists() for key in keys)
