# SPDX-License-Identifier: Apache-2.0
"""Clients push, retag and delete while the server is killed again and again.

The number of kills is `CAIS_LEDGER_CYCLES`; `make ledger` sets hundreds.
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
    STRAY,
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

CYCLES = int(os.environ.get("CAIS_LEDGER_CYCLES", "6"))


@pytest.mark.timeout(3600)
def test_nothing_acknowledged_is_lost_and_nothing_deleted_comes_back(tmp_path: Path) -> None:
    ledgers = new_ledgers()
    data = tmp_path / "data"
    kills = [kill_all, kill_parent, kill_worker]
    for cycle in range(CYCLES):
        with running(tmp_path, config=CONFIG) as server:
            verify(server, ledgers)
            crash(server, ledgers, kills[cycle % len(kills)], seed=cycle)
        # bytes that nobody names any more may be left; nothing that is named may be wrong
        assert fsck(data) <= STRAY
    assert sum(ledger.acknowledged for ledger in ledgers) > CYCLES
    delete_everything(tmp_path, data, ledgers)


@pytest.mark.timeout(3600)
def test_a_server_killed_at_any_step_keeps_what_it_acknowledged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledgers = new_ledgers()
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    for cycle in range(CYCLES):
        chance = random.Random(cycle)  # noqa: S311 - no secret
        monkeypatch.setenv("FAILPOINT", f"{chance.choice(FAILPOINTS)}:{chance.randint(1, 9)}")
        with running(tmp_path, config=CONFIG, program=FAILING) as server:
            verify(server, ledgers)
            crash(server, ledgers, wait_for_failpoint, seed=cycle)
    delete_everything(tmp_path, tmp_path / "data", ledgers)
