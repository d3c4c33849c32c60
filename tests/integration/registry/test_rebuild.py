# SPDX-License-Identifier: Apache-2.0
"""`cais-registry fsck --rebuild`: a destroyed database comes back, as a person would do it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from support.command import run_command
from support.pushed import Pushed, Tag, collect, cut_off, push_around_a_snapshot
from support.registry import running

DATABASE = "metadata.sqlite3"


def command(data: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "cais_registry", "fsck", "--data", str(data), *more]


def fsck(data: Path, *more: str) -> tuple[int, str, str]:
    ended = subprocess.run(
        command(data, *more), capture_output=True, text=True, check=False, timeout=120
    )
    return ended.returncode, ended.stdout, ended.stderr


def delete(path: Path) -> None:
    for end in ("", "-wal", "-shm"):
        path.with_name(path.name + end).unlink(missing_ok=True)


def truncate(path: Path) -> None:
    os.truncate(path, 5000)


def scribble(path: Path) -> None:
    with path.open("rb+") as file:
        file.seek(4096)
        file.write(os.urandom(16384))


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Pushed, dict[Tag, str]]:
    """A data folder with a snapshot, pushes after it, and a server that was killed."""
    folder = tmp_path_factory.mktemp("filled")
    pushed, tags = push_around_a_snapshot(folder, {})
    return folder / "data", pushed, tags


@pytest.fixture
def filled(
    origin: tuple[Path, Pushed, dict[Tag, str]], tmp_path: Path
) -> tuple[Pushed, dict[Tag, str]]:
    """A copy of it in `data`, what was pushed, and the tags of the snapshot."""
    folder, pushed, tags = origin
    shutil.copytree(folder, tmp_path / "data")
    return replace(pushed, contents=dict(pushed.contents), tags=dict(pushed.tags)), tags


@pytest.mark.parametrize("destroy", [delete, truncate, scribble])
def test_a_destroyed_database_comes_back(
    tmp_path: Path, filled: tuple[Pushed, dict[Tag, str]], destroy: Callable[[Path], None]
) -> None:
    pushed, tags = filled
    data = tmp_path / "data"
    destroy(data / DATABASE)
    code, out, err = fsck(data, "--rebuild", "-o", "json")
    assert (code, err) == (0, "")
    report = json.loads(out)
    assert (report["manifestsKept"], report["manifestsFound"], report["left"]) == (7, 7, 0)
    assert (report["moved"] is None) is (destroy is delete)
    assert fsck(data, "--digests")[0] == 0
    config = {"garbageCollection": {"pushLease": "0s", "undeleteWindow": "0s"}}
    with running(tmp_path, config=config) as server:
        pushed.check(server, tags)
        collect(server)
        pushed.check(server, tags)
        pushed.fill(server, "later")  # and it goes on as a registry does
    assert fsck(data, "--digests")[0] == 0


def test_without_a_snapshot_all_comes_back_but_tags(
    tmp_path: Path, filled: tuple[Pushed, dict[Tag, str]]
) -> None:
    pushed, _ = filled
    data = tmp_path / "data"
    for path in (data / "snapshots").iterdir():
        path.write_bytes(b"scribble")
    delete(data / DATABASE)
    code, out, _ = fsck(data, "--rebuild")
    assert (code, "there is no snapshot that can be read: nothing has a tag" in out) == (0, True)
    with running(tmp_path) as server:
        pushed.check(server, {})
    assert fsck(data, "--digests")[0] == 0


def test_a_rebuild_that_was_killed_can_be_run_again(
    tmp_path: Path, filled: tuple[Pushed, dict[Tag, str]]
) -> None:
    pushed, tags = filled
    data = tmp_path / "data"
    scribble(data / DATABASE)
    new, aside = data / "metadata.rebuilt.sqlite3", data / "damaged"
    for sign in (new.exists, new.with_name(f"{new.name}-wal").exists, aside.exists):
        cut_off(["fsck", "--rebuild", "--data", str(data)], sign)
    for end in ("", "-wal"):  # as one leaves it that is killed between its last two steps
        new.with_name(new.name + end).write_bytes(b"half")
    delete(data / DATABASE)
    with pytest.raises(AssertionError, match="fsck --rebuild --data"), running(tmp_path):
        pass
    code, out, _ = fsck(data, "--rebuild")
    assert code == 0, out
    assert not list(data.glob("metadata.rebuilt*"))
    with running(tmp_path) as server:
        pushed.check(server, tags)
    assert fsck(data, "--digests")[0] == 0


def test_what_need_not_or_cannot_be_rebuilt_is_left_alone(tmp_path: Path) -> None:
    def refused(data: Path, *more: str) -> tuple[int, str, str]:
        return run_command("fsck", "--data", str(data), *more)

    with running(tmp_path) as server:
        server.push_image("a", "v1")
        busy = refused(server.data, "--rebuild", "--force")
    data = server.data
    before = (data / DATABASE).read_bytes()
    (tmp_path / "empty").mkdir()
    for (code, out, err), says in (
        (busy, "in use by another server"),
        (refused(data, "--rebuild"), "is not damaged"),
        (
            refused(data, "--rebuild", "--repair"),
            "goes with --data of a stopped server, or --config",
        ),
        (refused(data, "--rebuild", "--force", "--orphans-to", "UPPER"), "'UPPER' is not allowed"),
        (refused(data, "--force"), "go with --rebuild only"),
        (refused(tmp_path / "empty", "--rebuild"), "nothing of a registry"),
        (refused(tmp_path / "none", "--rebuild"), "nothing of a registry"),
    ):
        assert (code, out) == (2, "")
        (line,) = err.splitlines()
        assert says in line
    assert (data / DATABASE).read_bytes() == before
    assert not (tmp_path / "none").exists()
    code, out, _ = fsck(data, "--rebuild", "--force")  # told so, it does
    assert code == 0
    (moved,) = (data / "damaged").glob("metadata-*.sqlite3")
    assert str(moved) in out
    assert moved.read_bytes() == before
