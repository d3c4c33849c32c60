# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from itertools import repeat
from typing import Any

import pytest

from cais_registry.http.pace import Pace
from cais_registry.http.patience import Patience, Slowest

TEN_IN_TEN = Slowest(seconds=10, count=10)


class Clock(asyncio.SelectorEventLoop):
    """An event loop whose time passes as soon as nothing else is to be done."""

    passed = 0.0

    def time(self) -> float:
        return self.passed

    def _run_once(self) -> None:
        timers = [timer for timer in vars(self)["_scheduled"] if not timer.cancelled()]
        if timers and not vars(self)["_ready"]:
            self.passed = max(self.passed, min(timer.when() for timer in timers))
        super()._run_once()  # type: ignore[misc]  # the loop's own step


def on_a_clock(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    with asyncio.Runner(loop_factory=Clock) as runner:
        runner.run(work())


async def move(pace: Pace, *steps: tuple[float, int]) -> None:
    """Take steps of so many seconds, each with so many bytes."""
    for seconds, count in steps:
        with pace:
            await asyncio.sleep(seconds)
        pace.moved(count)


@pytest.mark.parametrize(
    "steps",
    [
        list(repeat((0.99, 1), 100)),  # as slow as it may be
        list(repeat((9.0, 10), 100)),
        [(0.0, 1000), (9.5, 3), (0.4, 7), (9.9, 10)],
    ],
)
def test_who_is_fast_enough_may_go_on_for_ever(steps: list[tuple[float, int]]) -> None:
    on_a_clock(lambda: move(Pace(Patience(TEN_IN_TEN)), *steps))


@pytest.mark.parametrize(
    "steps",
    [
        [(10.1, 1)],  # silence
        list(repeat((1.1, 1), 100)),  # a trickle
        [(0.0, 10_000_000), *repeat((5.0, 3), 3)],  # what was sent before is no excuse
    ],
)
def test_who_is_too_slow_is_given_up(steps: list[tuple[float, int]]) -> None:
    async def work() -> None:
        with pytest.raises(TimeoutError):
            await move(Pace(Patience(TEN_IN_TEN)), *steps)

    on_a_clock(work)


def test_what_the_server_takes_itself_does_not_count() -> None:
    async def work() -> None:
        pace = Pace(Patience(TEN_IN_TEN))
        await move(pace, (6.0, 1))
        await asyncio.sleep(100)
        await move(pace, (3.0, 9), (9.0, 10))

    on_a_clock(work)
