# SPDX-License-Identifier: Apache-2.0
"""Processes we started: known by id and start time, so that a reused id is never taken for ours."""

import json
import os
import signal
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """A process of this machine.

    Attributes:
        pid: Its id.
        start: When it started, in the kernel's clock ticks since boot.
    """

    pid: int
    start: int


def start_and_parent(stat: str) -> tuple[int, int]:
    """Return start time and parent's id from the text of `/proc/<pid>/stat`."""
    fields = stat.rpartition(")")[2].split()  # the name before it may hold blanks and brackets
    return int(fields[19]), int(fields[1])


def look_up(pid: int) -> Process | None:
    """Return the process with this id, None when there is none or it has ended unnoticed."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    if stat.rpartition(")")[2].split()[0] in {"Z", "X"}:
        return None
    return Process(pid=pid, start=start_and_parent(stat)[0])


def child_of(pid: int) -> Process | None:
    """Return the first child of a process, None when it has none."""
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            start, parent = start_and_parent((folder / "stat").read_text())
        except (FileNotFoundError, ProcessLookupError):
            continue
        if parent == pid:
            return Process(pid=int(folder.name), start=start)
    return None


def is_alive(process: Process) -> bool:
    """Tell whether exactly this process still runs."""
    return look_up(process.pid) == process


def write(path: Path, process: Process) -> None:
    """Remember a process in a file, all of it or nothing."""
    temporary = path.with_name(f"{path.name}.new")
    temporary.write_text(json.dumps(asdict(process)))
    temporary.replace(path)


def read(path: Path) -> Process | None:
    """Return the remembered process if it still runs."""
    try:
        process = Process(**json.loads(path.read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None
    return process if is_alive(process) else None


def end(process: Process, signal_number: signal.Signals) -> None:
    """Send a signal to exactly this process; nothing happens when it is gone."""
    if is_alive(process):
        try:
            os.kill(process.pid, signal_number)
        except ProcessLookupError:
            return


def wait_until(true: Callable[[], bool], *, seconds: float, step: float = 0.1) -> bool:
    """Ask until the answer is yes; tell whether that came within `seconds`."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(step)
    return True
