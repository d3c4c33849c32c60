# SPDX-License-Identifier: Apache-2.0
"""The file system of the power-loss tests loses what a disk may lose, and nothing else."""

from __future__ import annotations

import fcntl
import mmap
import os
import random
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from cais_registry.stores.folders import sync_folder
from support.powerloss import PowerLossDisk, power_loss_disk
from support.volatile_disk import Disk

FILE = stat.S_IFREG | 0o600
FOLDER = stat.S_IFDIR | 0o700


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[PowerLossDisk]:
    with power_loss_disk(tmp_path) as made:
        made.power_on()
        yield made


def sync(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def power_cycle(disk: PowerLossDisk) -> Path:
    disk.cut_power()
    disk.power_on()
    return disk.folder


def tree(folder: Path) -> dict[str, bytes | None]:
    """All that is there: the bytes of files, None for folders."""
    return {
        str(path.relative_to(folder)): None if path.is_dir() else path.read_bytes()
        for path in folder.rglob("*")
    }


def test_synced_bytes_stay_and_others_go(disk: PowerLossDisk) -> None:
    file = disk.folder / "file"
    file.write_bytes(b"synced")
    sync(file)
    sync_folder(disk.folder)
    with file.open("ab") as more:
        more.write(b" and more")
    (disk.folder / "empty").write_bytes(b"never synced")
    sync_folder(disk.folder)
    assert file.read_bytes() == b"synced and more"
    assert tree(power_cycle(disk)) == {"file": b"synced", "empty": b""}


def test_a_name_stays_only_with_its_folder(disk: PowerLossDisk) -> None:
    for name in ("a", "b/c"):
        (disk.folder / name).mkdir(parents=True)
        (disk.folder / name / "file").write_bytes(name.encode())
        sync(disk.folder / name / "file")
        sync_folder(disk.folder / name)
    sync_folder(disk.folder)
    assert tree(power_cycle(disk)) == {"a": None, "a/file": b"a", "b": None}


@pytest.mark.parametrize(
    ("synced", "left"),
    [
        ((), {"from": None, "from/x": b"new", "to": None, "to/y": b"old"}),
        (("from",), {"from": None, "to": None, "to/y": b"old"}),
        (("to",), {"from": None, "from/x": b"new", "to": None, "to/y": b"new"}),
        (("from", "to"), {"from": None, "to": None, "to/y": b"new"}),
    ],
)
def test_a_rename_is_two_names_each_with_its_folder(
    disk: PowerLossDisk, synced: tuple[str, ...], left: dict[str, bytes | None]
) -> None:
    for name, content in (("from/x", b"new"), ("to/y", b"old")):
        path = disk.folder / name
        path.parent.mkdir()
        path.write_bytes(content)
        sync(path)
        sync_folder(path.parent)
    sync_folder(disk.folder)
    (disk.folder / "from/x").rename(disk.folder / "to/y")
    for folder in synced:
        sync_folder(disk.folder / folder)
    assert tree(power_cycle(disk)) == left


def test_what_was_removed_or_cut_short_is_back(disk: PowerLossDisk) -> None:
    for name in ("removed", "short", "linked"):
        (disk.folder / name).write_bytes(b"content")
        sync(disk.folder / name)
    (disk.folder / "folder").mkdir()
    sync_folder(disk.folder)
    (disk.folder / "removed").unlink()
    (disk.folder / "folder").rmdir()
    (disk.folder / "again").hardlink_to(disk.folder / "linked")
    os.truncate(disk.folder / "short", 3)
    assert tree(disk.folder) == {"short": b"con", "linked": b"content", "again": b"content"}
    expected = {"removed": b"content", "short": b"content", "linked": b"content", "folder": None}
    assert tree(power_cycle(disk)) == expected


def test_bytes_after_a_cut_are_new(disk: PowerLossDisk) -> None:
    file = disk.folder / "file"
    file.write_bytes(b"x" * 3000)
    sync(file)
    sync_folder(disk.folder)
    with file.open("rb+") as opened:
        opened.truncate(10)
        opened.seek(2000)
        opened.write(b"end")
        opened.flush()
        os.fsync(opened.fileno())
    expected = b"x" * 10 + bytes(1990) + b"end"
    assert file.read_bytes() == expected
    assert tree(power_cycle(disk)) == {"file": expected}


def test_programs_find_what_they_need_in_a_file_system(disk: PowerLossDisk) -> None:
    path = disk.folder / "file"
    path.write_bytes(b"0" * 8192)
    with path.open("rb+") as one, path.open("rb+") as two:
        fcntl.flock(one, fcntl.LOCK_EX)
        with pytest.raises(BlockingIOError):
            fcntl.flock(two, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with mmap.mmap(one.fileno(), 8192) as first, mmap.mmap(two.fileno(), 8192) as second:
            first[5000:5004] = b"seen"
            assert second[5000:5004] == b"seen"
        path.unlink()
        two.truncate(4)
        assert (one.read(), tree(disk.folder)) == (b"0000", {})


def test_a_commit_of_sqlite_stays(disk: PowerLossDisk) -> None:
    with closing(sqlite3.connect(disk.folder / "db", isolation_level=None)) as database:
        for statement in ("PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL"):
            database.execute(statement)
        database.execute("CREATE TABLE t (n)")
        database.execute("INSERT INTO t VALUES (1)")
        folder = power_cycle(disk)
    with closing(sqlite3.connect(folder / "db")) as database:
        assert database.execute("SELECT n FROM t").fetchall() == [(1,)]


def test_nothing_stays_mounted_after_a_failed_test(tmp_path: Path) -> None:
    def fail() -> None:
        with power_loss_disk(tmp_path) as disk:
            disk.power_on()
            with (disk.folder / "open").open("wb"):
                raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert str(tmp_path) not in Path("/proc/self/mountinfo").read_text()


def test_any_part_of_the_rest_may_stay(tmp_path: Path) -> None:
    """The name without the bytes, the new name beside the old one, both gone, ..."""
    seen = set()
    for seed in range(1000):
        with closing(Disk(tmp_path / "log", random.Random(seed))) as disk:  # noqa: S311 - no secret
            disk.write(disk.make("/old", FILE), 0, b"x" * 1024)
            disk.make("/folder", FOLDER)
            disk.rename("/old", "/folder/new")
        with closing(Disk(tmp_path / "log")) as left:
            seen.add((size(left, "/old"), size(left, "/folder/new")))
        (tmp_path / "log").unlink()
    assert {(None, None), (0, None), (1024, None), (None, 0), (None, 1024), (1024, 1024)} <= seen


def size(disk: Disk, path: str) -> int | None:
    try:
        return len(disk.find(path).content)
    except FileNotFoundError:
        return None


def test_what_is_synced_stays_whatever_else_does(tmp_path: Path) -> None:
    log = tmp_path / "log"
    for seed in range(100):
        chance = random.Random(seed)  # noqa: S311 - no secret
        with closing(Disk(log, chance)) as disk:
            inode = disk.make(f"/{seed}", FILE)
            for _ in range(chance.randint(1, 20)):
                content = chance.randbytes(chance.randint(1, 2000))
                disk.write(inode, chance.randint(0, 5000), content)
                disk.truncate(inode, chance.randint(0, 5000))
            disk.sync(inode)
            disk.sync(disk.find("/"))
        with closing(Disk(log)) as left:
            assert left.find(f"/{seed}").content == inode.content
