# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from cais_registry.stores.appending import MOST, Appending

PIECE = bytes(MOST // 4)
SECONDS = 30


class Thread:
    """What a thread appends, for which it may have to wait for the test."""

    def __init__(self, *, fails_at: int | None = None) -> None:
        self.turns: list[list[bytes]] = []
        self.begun, self.may_go_on = threading.Event(), threading.Event()
        self._fails_at = fails_at

    def append(self, pieces: Sequence[bytes]) -> None:
        self.turns.append(list(pieces))
        self.begun.set()
        assert self.may_go_on.wait(SECONDS)
        if len(self.turns) == self._fails_at:
            raise OSError("the disk failed")

    @property
    def appended(self) -> bytes:
        return b"".join(piece for turn in self.turns for piece in turn)


@contextmanager
def pool(threads: int = 1) -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(threads) as found:
        yield found


async def begun(thread: Thread) -> None:
    assert await asyncio.to_thread(thread.begun.wait, SECONDS)


async def test_a_turn_takes_all_that_has_come_in_order() -> None:
    thread = Thread()
    with pool() as threads:
        appending = Appending(threads, thread.append)
        await appending.put([b"one", b"two"])
        await begun(thread)
        await appending.put([b"three"])
        await appending.put([b"four", b"five"])
        thread.may_go_on.set()
        await appending.drain()
    assert thread.turns == [[b"one", b"two"], [b"three", b"four", b"five"]]


async def test_whoever_sends_waits_when_enough_is_queued_and_goes_on_when_it_is_taken() -> None:
    turns: list[int] = []
    begun, ends = threading.Event(), [threading.Event(), threading.Event()]

    def append(pieces: Sequence[bytes]) -> None:
        turns.append(len(pieces))
        begun.set()
        assert ends[len(turns) - 1].wait(SECONDS)

    with pool() as threads:
        appending = Appending(threads, append)
        await appending.put([PIECE])
        assert await asyncio.to_thread(begun.wait, SECONDS)
        for _ in range(3):
            await appending.put([PIECE])
        fourth = asyncio.ensure_future(appending.put([PIECE]))
        await asyncio.sleep(0)
        assert not fourth.done()
        ends[0].set()
        await asyncio.wait_for(fourth, SECONDS)  # the turn that took it has not ended
        ends[1].set()
        await appending.drain()
    assert turns == [1, 4]


async def test_the_event_loop_hears_of_nothing_while_nobody_waits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    thread, ended = Thread(), threading.Event()
    loop, calls = asyncio.get_running_loop(), 0
    tell = loop.call_soon_threadsafe

    def count(*args: object) -> object:
        nonlocal calls
        calls += 1
        return tell(*args)  # type: ignore[arg-type]  # as it comes

    with pool() as threads:
        appending = Appending(threads, thread.append)
        monkeypatch.setattr(loop, "call_soon_threadsafe", count)
        for _ in range(3):
            await appending.put([b"piece"])
        appending.at_last(ended.set)
        thread.may_go_on.set()
        assert ended.wait(SECONDS)
        assert calls == 0
        await appending.drain()
        assert calls == 0
        thread.may_go_on.clear()
        await appending.put([b"piece"])
        draining = asyncio.ensure_future(appending.drain())
        await asyncio.sleep(0)
        thread.may_go_on.set()
        await asyncio.wait_for(draining, SECONDS)
    assert calls == 1


async def test_uploads_take_turns_at_a_thread() -> None:
    first, second = Thread(), Thread()
    second.may_go_on.set()
    with pool(1) as threads:
        busy, other = Appending(threads, first.append), Appending(threads, second.append)
        await busy.put([b"1"])
        await begun(first)
        await other.put([b"a"])
        await busy.put([b"2"])  # is there when the first turn ends, but `other` asked before
        first.begun.clear()
        first.may_go_on.set()
        await begun(first)
        assert second.turns == [[b"a"]]
        await busy.drain()
        await other.drain()


async def test_what_failed_is_raised_from_then_on_and_nothing_is_appended_after_it() -> None:
    thread = Thread(fails_at=1)
    with pool() as threads:
        appending = Appending(threads, thread.append)
        await appending.put([b"lost"])
        await begun(thread)
        await appending.put([b"after it"])
        thread.may_go_on.set()
        for _ in range(2):
            with pytest.raises(OSError, match="the disk failed"):
                await asyncio.wait_for(appending.drain(), SECONDS)
        with pytest.raises(OSError, match="the disk failed"):
            await appending.put([b"more"])
    assert thread.turns == [[b"lost"]]


async def test_a_sender_that_waits_hears_of_a_failure() -> None:
    thread = Thread(fails_at=1)
    with pool() as threads:
        appending = Appending(threads, thread.append)
        await appending.put([PIECE])
        await begun(thread)
        full = asyncio.ensure_future(appending.put([PIECE] * 4))
        await asyncio.sleep(0)
        thread.may_go_on.set()
        with pytest.raises(OSError, match="the disk failed"):
            await asyncio.wait_for(full, SECONDS)


async def test_what_was_taken_is_appended_after_the_sender_was_cancelled() -> None:
    thread, ended = Thread(), threading.Event()
    with pool() as threads:
        appending = Appending(threads, thread.append)
        await appending.put([b"first"])
        await begun(thread)
        sending = asyncio.ensure_future(appending.put([PIECE] * 4))
        await asyncio.sleep(0)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        appending.at_last(ended.set)
        assert not ended.is_set()
        thread.may_go_on.set()
        assert await asyncio.to_thread(ended.wait, SECONDS)
    assert thread.appended == b"first" + PIECE * 4


async def test_nobody_waits_for_ever_for_threads_that_are_being_ended() -> None:
    thread = Thread()
    threads = ThreadPoolExecutor(1)
    appending = Appending(threads, thread.append)
    await appending.put([b"first"])
    await begun(thread)
    await appending.put([b"second"])
    threads.shutdown(wait=False)
    thread.may_go_on.set()
    with pytest.raises(RuntimeError, match="shutdown"):
        await asyncio.wait_for(appending.drain(), SECONDS)
    with pytest.raises(RuntimeError, match="shutdown"):
        await appending.put([b"third"])
