# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

import pytest

from cais_registry.http import patience
from cais_registry.http.pace import Pace
from cais_registry.http.patience import Patience, Slowest

T = TypeVar("T")


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "LOOK_SECONDS", 0.001)


async def wait(watch: Patience, step: Awaitable[T]) -> T:
    with Pace(watch):
        return await step


def short() -> Patience:
    return Patience(Slowest(seconds=0.01))


async def never() -> None:
    await asyncio.Event().wait()


async def test_what_a_client_does_in_time_is_handed_on() -> None:
    async def piece(number: int) -> int:
        await asyncio.sleep(0)
        return number

    watch = Patience()
    assert [await wait(watch, piece(n)) for n in range(3)] == [0, 1, 2]


async def test_a_client_that_does_nothing_is_given_up_and_the_task_can_go_on() -> None:
    watch = short()
    for _ in range(2):
        with pytest.raises(TimeoutError):
            await wait(watch, never())
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_others_go_on_waiting_when_one_is_given_up() -> None:
    watch, come = Patience(), asyncio.Event()
    other = asyncio.create_task(wait(watch, come.wait()))
    await asyncio.sleep(0)
    watch.slowest = Slowest(seconds=0.01)
    with pytest.raises(TimeoutError):
        await wait(watch, never())
    come.set()
    assert await other


async def test_a_task_that_somebody_else_cancels_is_cancelled() -> None:
    task = asyncio.create_task(wait(Patience(), never()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_task_that_is_given_up_and_cancelled_is_cancelled() -> None:
    watch = short()
    task = asyncio.create_task(wait(watch, never()))
    await asyncio.sleep(0)
    watch._until[task] = 0.0
    watch._look(asyncio.get_running_loop())
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_what_fails_before_its_time_fails_as_it_does() -> None:
    async def broken() -> None:
        await asyncio.sleep(0)
        raise KeyError

    with pytest.raises(KeyError):
        await wait(Patience(), broken())


async def test_when_nobody_waits_there_is_no_timer() -> None:
    watch = Patience()
    await wait(watch, asyncio.sleep(0))
    assert watch._timer is not None
    watch._look(asyncio.get_running_loop())
    assert watch._timer is None
