# SPDX-License-Identifier: Apache-2.0
import asyncio

import pytest

from cais_operator.waiting import woken


@pytest.mark.parametrize("steps", range(6))
async def test_a_loop_that_is_stopped_just_when_it_is_woken_ends(steps: int) -> None:
    event = asyncio.Event()

    async def forever() -> None:
        while True:
            event.clear()
            await woken(event, 60.0)

    task = asyncio.create_task(forever())
    for _ in range(3):
        await asyncio.sleep(0)
    event.set()
    for _ in range(steps):
        await asyncio.sleep(0)
    task.cancel()
    for _ in range(10):
        await asyncio.sleep(0)
    assert task.cancelled()


async def test_it_ends_after_the_time_or_with_the_event() -> None:
    event = asyncio.Event()
    await woken(event, 0.0)
    assert not event.is_set()
    event.set()
    await woken(event, None)
