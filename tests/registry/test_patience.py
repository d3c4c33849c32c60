# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio

import pytest

from cais_registry.http import patience
from cais_registry.http.patience import Patience


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "LOOK_SECONDS", 0.001)


def soon() -> float:
    return asyncio.get_running_loop().time() + 0.01


def late() -> float:
    return asyncio.get_running_loop().time() + 3600


async def never() -> None:
    await asyncio.Event().wait()


async def test_what_a_client_does_in_time_is_handed_on() -> None:
    async def piece(number: int) -> int:
        await asyncio.sleep(0)
        return number

    watch = Patience()
    assert [await watch.wait(piece(n), late()) for n in range(3)] == [0, 1, 2]


async def test_a_client_that_does_nothing_is_given_up_and_the_task_can_go_on() -> None:
    watch = Patience()
    for _ in range(2):
        with pytest.raises(TimeoutError):
            await watch.wait(never(), soon())
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_others_go_on_waiting_when_one_is_given_up() -> None:
    watch, come = Patience(), asyncio.Event()
    other = asyncio.create_task(watch.wait(come.wait(), late()))
    with pytest.raises(TimeoutError):
        await watch.wait(never(), soon())
    come.set()
    assert await other


async def test_a_task_that_somebody_else_cancels_is_cancelled() -> None:
    task = asyncio.create_task(Patience().wait(never(), late()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_what_fails_before_its_time_fails_as_it_does() -> None:
    async def broken() -> None:
        await asyncio.sleep(0)
        raise KeyError

    with pytest.raises(KeyError):
        await Patience().wait(broken(), late())


async def test_when_nobody_waits_there_is_no_timer() -> None:
    watch = Patience()
    await watch.wait(asyncio.sleep(0), late())
    assert watch._timer is not None
    watch._look(asyncio.get_running_loop())
    assert watch._timer is None
