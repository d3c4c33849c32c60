# SPDX-License-Identifier: Apache-2.0
"""Clients push, retag and delete while the server is killed again and again.

Each kind of kill and each step has its turn; `CAIS_LEDGER_CYCLES` says how many times, and
`make ledger` sets hundreds.
"""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from support.ledger import (
    CONFIG,
    FAILING,
    FAILPOINTS,
    check_nothing_left,
    crash,
    delete_everything,
    fsck,
    kill_all,
    kill_parent,
    kill_worker,
    new_ledgers,
    verify,
    wait_for_failpoint,
)
from support.registry import running

KILLS = (kill_all, kill_parent, kill_worker)
CYCLES = int(os.environ.get("CAIS_LEDGER_CYCLES", "0"))


@pytest.mark.timeout(3600)
def test_nothing_acknowledged_is_lost_and_nothing_deleted_comes_back(tmp_path: Path) -> None:
    ledgers = new_ledgers()
    data = tmp_path / "data"
    cycles = CYCLES or len(KILLS)
    for cycle in range(cycles):
        with running(tmp_path, config=CONFIG) as server:
            verify(server, ledgers)
            crash(server, ledgers, KILLS[cycle % len(KILLS)], seed=cycle)
        assert fsck(data) == set()  # nothing waits for a repair
    assert sum(ledger.acknowledged for ledger in ledgers) > cycles
    delete_everything(tmp_path, data, ledgers)
    check_nothing_left(data)


@pytest.mark.timeout(3600)
def test_a_server_killed_at_any_step_keeps_what_it_acknowledged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledgers = new_ledgers()
    data = tmp_path / "data"
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    for cycle in range(CYCLES or len(FAILPOINTS)):
        chance = random.Random(cycle)  # noqa: S311 - no secret
        step = FAILPOINTS[cycle % len(FAILPOINTS)]
        monkeypatch.setenv("FAILPOINT", f"{step}:{chance.randint(1, 9)}")
        with running(tmp_path, config=CONFIG, program=FAILING) as server:
            verify(server, ledgers)
            crash(server, ledgers, wait_for_failpoint, seed=cycle)
        assert fsck(data) == set()
    delete_everything(tmp_path, data, ledgers)
    check_nothing_left(data)
