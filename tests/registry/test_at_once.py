# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
import threading

import pytest

from cais_registry.services.at_once import Once, to_its_end, work_off


async def test_everything_is_done_also_what_comes_on_the_way_and_no_more_at_once_than_said() -> (
    None
):
    waiting, done, now, most = [0], [], 0, 0

    async def work(number: int) -> None:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0)
        if number < 50:
            waiting.extend((2 * number + 1, 2 * number + 2))
        done.append(number)
        now -= 1

    await work_off(waiting, work, at_once=4)
    assert sorted(done) == list(range(101))
    assert most == 4


async def test_an_error_ends_the_others_first_and_is_raised_as_it_is() -> None:
    ended: list[int] = []
    waiting = list(range(10))

    async def work(number: int) -> None:
        try:
            if number == 7:
                raise LookupError(number)
            await asyncio.Event().wait()
        finally:
            ended.append(number)

    with pytest.raises(LookupError, match="7"):
        await work_off(waiting, work, at_once=3)
    assert sorted(ended) == [7, 8, 9]
    assert waiting == list(range(7))


async def test_nothing_to_do_is_done_at_once() -> None:
    async def work(_: int) -> None:
        raise AssertionError

    await work_off([], work, at_once=3)


async def test_what_several_ask_for_is_done_once() -> None:
    once: Once[str, int] = Once()
    go, calls = asyncio.Event(), 0

    async def work() -> int:
        nonlocal calls
        calls += 1
        await go.wait()
        return calls

    asked = [asyncio.create_task(once.of("a", work)) for _ in range(3)]
    await asyncio.sleep(0)
    go.set()
    assert await asyncio.gather(*asked, once.of("b", work)) == [1, 1, 1, 2]
    assert await once.of("a", work) == 1


async def test_who_asked_first_gets_the_error_and_nobody_waits_for_ever() -> None:
    once: Once[str, int] = Once()
    go = asyncio.Event()

    async def fail() -> int:
        await go.wait()
        raise LookupError

    first, second = (asyncio.create_task(once.of("a", fail)) for _ in range(2))
    await asyncio.sleep(0)
    go.set()
    await asyncio.wait([first, second])
    assert isinstance(first.exception(), LookupError)
    assert second.cancelled()


async def test_work_in_a_thread_has_ended_when_a_wait_that_is_cancelled_twice_ends() -> None:
    begun, go, ended = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        go.wait(60)
        ended.set()
        raise OSError

    waiting = asyncio.create_task(to_its_end(asyncio.to_thread(work)))
    await asyncio.to_thread(begun.wait)
    for _ in range(2):
        waiting.cancel()
        await asyncio.sleep(0)
    go.set()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert ended.is_set()


async def test_what_comes_to_its_end_gives_its_result_or_error() -> None:
    async def fail() -> None:
        raise LookupError

    assert await to_its_end(asyncio.sleep(0, "done")) == "done"
    with pytest.raises(LookupError):
        await to_its_end(fail())
