# SPDX-License-Identifier: Apache-2.0
import asyncio
from contextlib import nullcontext, suppress
from itertools import islice

import pytest

from cais_operator.feed import Ear
from cais_operator.handlers import Unended, _settings, until_over

SOON = 0.05


def test_requests_for_events_are_tried_for_ever_with_pauses_that_have_a_bound() -> None:
    backoffs = _settings().networking.error_backoffs
    assert not isinstance(backoffs, (int, float))
    for _ in range(2):  # each request begins anew
        pauses = list(islice(iter(backoffs), 1000))
        assert len(pauses) == 1000
        assert pauses[0] <= 1.0
        assert max(pauses) <= 15.0
        assert min(pauses[10:]) >= 7.5


def ear(refusal: int | None) -> Ear:
    made = Ear([], lambda *_: None)
    made.refusal = refusal
    return made


async def test_what_kopf_ends_with_is_what_comes_of_it() -> None:
    async def fail() -> None:
        raise OSError("full")

    async def end() -> None:
        return

    await until_over(end(), asyncio.Event(), ear(404))
    with pytest.raises(OSError, match="full"):
        await until_over(fail(), asyncio.Event(), ear(404))


@pytest.mark.parametrize("refusal", [404, None])
async def test_kopf_is_left_when_it_does_not_come_to_its_end(refusal: int | None) -> None:
    ending, ended = asyncio.Event(), asyncio.Event()

    async def hang() -> None:
        ending.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    with pytest.raises(Unended) if refusal else nullcontext():
        await until_over(hang(), ending, ear(refusal), within=SOON)
    assert ended.is_set()


async def test_kopf_has_its_time_before_it_ends_and_then_a_little() -> None:
    ending = asyncio.Event()

    async def work() -> None:
        await asyncio.sleep(2 * SOON)
        ending.set()
        await asyncio.sleep(SOON / 10)
        raise OSError("full")

    with pytest.raises(OSError, match="full"):
        await until_over(work(), ending, ear(404), within=SOON)


async def test_whoever_waits_for_kopf_takes_it_along() -> None:
    ended = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(SOON)
            ended.set()

    waiting = asyncio.create_task(until_over(work(), asyncio.Event(), ear(None)))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    waiting.cancel()
    with suppress(asyncio.CancelledError):
        await waiting
    assert ended.is_set()
