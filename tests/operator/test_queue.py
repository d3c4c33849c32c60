# SPDX-License-Identifier: Apache-2.0
import asyncio

import pytest

from cais_operator.queue import Schedule, WorkQueue
from cais_operator.resource import Key

A, B = Key("ns", "a"), Key("ns", "b")


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def queue(clock: Clock) -> WorkQueue:
    return WorkQueue(clock, jitter=lambda low, high: high)  # noqa: ARG005 - always the most


def test_keys_come_in_the_order_in_which_they_became_due() -> None:
    schedule = Schedule()
    schedule.add(B, 1)
    schedule.add(A, 2)
    assert [schedule.take(3), schedule.take(3), schedule.take(3)] == [B, A, None]


def test_a_key_added_many_times_is_taken_once() -> None:
    schedule = Schedule()
    for now in range(5):
        schedule.add(A, now)
    assert [schedule.take(9), schedule.take(9)] == [A, None]


def test_a_key_added_while_it_is_worked_on_comes_again_and_never_twice_at_once() -> None:
    schedule = Schedule()
    schedule.add(A, 1)
    assert schedule.take(1) == A
    schedule.add(A, 2)
    assert schedule.take(2) is None
    schedule.done(A, 3, next_at=1000)
    assert schedule.take(3) == A


@pytest.mark.parametrize(("first", "second"), [(20, 10), (10, 20)])
def test_the_earlier_of_two_promises_holds(first: int, second: int) -> None:
    schedule = Schedule()
    schedule.add_at(A, first)
    schedule.add_at(A, second)
    assert schedule.next_due() == 10
    assert schedule.take(9) is None
    assert schedule.take(10) == A
    schedule.done(A, 11, next_at=None)
    assert schedule.take(30) is None


def test_a_reason_overtakes_a_promise() -> None:
    schedule = Schedule()
    schedule.add_at(A, 1000)
    schedule.add(A, 1)
    assert schedule.take(1) == A
    schedule.done(A, 2, next_at=None)
    assert schedule.next_due() is None


def test_the_oldest_is_what_waits_or_is_worked_on_longest() -> None:
    schedule = Schedule()
    assert schedule.oldest() is None
    schedule.add_at(A, 50)
    assert schedule.oldest() is None
    schedule.add(B, 3)
    schedule.take(7)
    assert schedule.oldest() == 7
    schedule.add(A, 8)
    assert schedule.oldest() == 7


async def test_failures_wait_longer_each_time_up_to_a_bound_and_success_forgets_them() -> None:
    clock = Clock()
    work = queue(clock)
    pauses = []
    for _ in range(10):
        work.add(A)
        await work.take()
        pauses.append(work.failed(A))
    assert pauses == [0.5, 1, 2, 4, 8, 16, 32, 60, 60, 60]
    work.add(A)
    await work.take()
    work.done(A)
    work.add(A)
    await work.take()
    assert work.failed(A) == 0.5


async def test_the_api_servers_wish_is_the_least_that_is_waited() -> None:
    clock = Clock()
    work = queue(clock)
    work.add(A)
    await work.take()
    assert work.failed(A, retry_after=17) == 17
    assert A in work


async def test_a_waiting_worker_wakes_for_a_new_key() -> None:
    work = queue(Clock())
    waiting = asyncio.create_task(work.take())
    await asyncio.sleep(0)
    work.add(A)
    assert await waiting == A


async def test_a_waiting_worker_wakes_for_a_promise() -> None:
    loop = asyncio.get_running_loop()
    work = WorkQueue(loop.time)
    work.add(A, after=0.01)
    assert await work.take() == A


async def test_several_waiting_workers_share_the_keys() -> None:
    work = queue(Clock())
    waiting = [asyncio.create_task(work.take()) for _ in range(2)]
    await asyncio.sleep(0)
    work.add(A)
    work.add(B)
    assert set(await asyncio.gather(*waiting)) == {A, B}


async def test_age_counts_from_when_the_oldest_key_was_due() -> None:
    clock = Clock()
    work = queue(clock)
    assert work.age() == 0
    work.add(A)
    clock.now += 42
    assert work.age() == 42
    await work.take()
    work.done(A, after=10)
    assert work.age() == 0
    assert A in work
    assert len(work) == 0


def test_a_key_is_asked_for_by_a_reason_and_not_by_the_clock_or_a_wake() -> None:
    clock = Clock()
    waiting = queue(clock)
    schedule = waiting._schedule
    turns: list[bool] = []

    def turn() -> None:
        assert schedule.take(clock.now) == A
        turns.append(waiting.is_asked(A))

    waiting.add(A)
    turn()
    waiting.wake(A)  # while it is worked on
    waiting.done(A)
    turn()
    waiting.add(A)
    waiting.wake(A)
    waiting.done(A)
    turn()
    waiting.done(A, after=5)
    clock.now += 5
    turn()
    waiting.done(A, after=5)
    waiting.wake(A)
    waiting.add(A)
    turn()
    assert turns == [True, False, True, False, True]
