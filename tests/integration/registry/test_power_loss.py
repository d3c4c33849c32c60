# SPDX-License-Identifier: Apache-2.0
"""Clients push, retag and delete; then the power goes, and with it what was not synced.

The server runs on a file system that keeps what was synced and, in two of three cycles, any part of
the rest (needs root and /dev/fuse). The number of cuts is `CAIS_LEDGER_CYCLES`; `make ledger` sets
hundreds.
"""

from __future__ import annotations

import os
import random
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from support.ledger import (
    CONFIG,
    FAILING,
    FAILPOINTS,
    STRAY,
    Ledger,
    check_nothing_left,
    crash,
    delete_everything,
    fsck,
    kill_all,
    new_ledgers,
    verify,
    wait_for_failpoint,
)
from support.powerloss import PowerLossDisk, power_loss_disk
from support.registry import DEADLINE, PROGRAM, is_alive, running, start, wait_until

CYCLES = int(os.environ.get("CAIS_LEDGER_CYCLES", "6"))
TESTS = Path(__file__).parents[2]


def power_on(disk: PowerLossDisk, cycle: int) -> None:
    """Turn the power on; what is unsynced at the end of every third cycle is gone for sure."""
    disk.power_on(seed=cycle if cycle % 3 else None)


def take_up(data: Path) -> None:
    """Whatever copy of the database has its final name is whole; the next one is due now."""
    for path in (data / "snapshots").glob("metadata-*"):
        with closing(sqlite3.connect(f"file:{path}?immutable=1", uri=True)) as snapshot:
            assert snapshot.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            assert snapshot.execute("SELECT count(*) FROM manifest").fetchone()
        os.utime(path, (0, 0))


def outage(
    folder: Path, data: Path, ledgers: list[Ledger], cycle: int, patch: pytest.MonkeyPatch
) -> None:
    """Kill a server, or two: the second one sees what the first one did not make durable."""
    chance = random.Random(cycle)  # noqa: S311 - no secret
    for time in range(chance.randint(1, 2)):
        step = FAILPOINTS[(2 * cycle + time) % len(FAILPOINTS)]
        patch.setenv("FAILPOINT", f"{step}:{chance.randint(1, 9)}")
        program, kill = chance.choice([(PROGRAM, kill_all), (FAILING, wait_for_failpoint)])
        with running(folder, config=CONFIG, data=data, program=program) as server:
            verify(server, ledgers)
            crash(server, ledgers, kill, seed=2 * cycle + time)


@pytest.mark.timeout(3600)
def test_nothing_acknowledged_is_lost_when_the_power_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledgers = new_ledgers()
    monkeypatch.setenv("PYTHONPATH", str(TESTS))
    with power_loss_disk(tmp_path) as disk:
        data = disk.folder / "new" / "data"
        for cycle in range(CYCLES):
            power_on(disk, cycle)
            take_up(data)
            if cycle % 2:
                # names that nobody uses may be back; nothing that is used may be wrong
                assert fsck(data) <= STRAY
            outage(tmp_path, data, ledgers, cycle, monkeypatch)
            disk.cut_power()
        power_on(disk, CYCLES)
        delete_everything(tmp_path, data, ledgers)
        assert fsck(data, "--repair") <= STRAY
        check_nothing_left(data)


def test_no_second_server_gets_the_volume_while_a_worker_lives(tmp_path: Path) -> None:
    """A worker that waits for its disk outlives its parent, and SIGKILL as well."""
    with power_loss_disk(tmp_path) as disk:
        disk.power_on()
        with running(tmp_path, data=disk.folder) as server:
            (worker,) = server.workers
            with disk.slow_syncs(), server.socket() as pusher:
                pusher.sendall(b"POST /v2/a/blobs/uploads/ HTTP/1.1\r\nHost: x\r\n\r\n")
                disk.wait_held()
                server.process.kill()
                server.process.wait(DEADLINE)
                other = tmp_path / "other"
                other.mkdir()
                second = start(other, data=disk.folder)
                assert second.process.wait(DEADLINE) != 0
                assert "in use by another server" in second.log.read_text()
                assert Path(f"/proc/{worker}").exists()
            wait_until(lambda: not is_alive(worker), what="the worker ends with its sync")
        with running(tmp_path, data=disk.folder) as server:
            assert server.ask("GET", "/v2/").status == 200
