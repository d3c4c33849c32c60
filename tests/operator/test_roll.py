# SPDX-License-Identifier: Apache-2.0
import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from cais_operator import errors, roll
from cais_operator.cluster import PAGE, Page, Selection
from cais_operator.queue import WorkQueue
from cais_operator.resource import Key
from cais_operator.roll import Roll
from operator_builders import SETTINGS
from support.fake_cluster import FakeCluster


class Bench:
    def __init__(self, count: int, cluster: FakeCluster | None = None) -> None:
        self.now = 0.0
        self.cluster = cluster or FakeCluster()
        for number in range(count):
            self.cluster.put({"kind": "Registry", "metadata": {"name": f"r{number:03}"}})
        self.queue = WorkQueue(lambda: self.now)
        self.called: list[list[Key]] = []
        self.roll = Roll(self.cluster, self.queue, SETTINGS, self.called.append, lambda: self.now)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.roll.run())
        yield
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def next(self) -> tuple[Key, bool]:
        """Take a key from the queue; and whether its Registry is handed on."""
        async with asyncio.timeout(20):
            key = await self.queue.take()
        body = self.roll.take(key)
        assert body is None or body["metadata"]["name"] == key.name
        self.queue.done(key, 1e6)
        return key, body is not None

    async def settle(self) -> None:
        for _ in range(20):
            await asyncio.sleep(0)


async def test_each_registry_of_a_list_is_asked_for_and_handed_on_once() -> None:
    bench = Bench(120)
    async with bench.running():
        found = [await bench.next() for _ in range(120)]
        await bench.settle()
    assert len({key for key, _ in found}) == 120
    assert all(is_handed for _, is_handed in found)
    assert [len(keys) for keys in bench.called] == [120]
    assert bench.roll.take(found[0][0]) is None


async def test_no_more_than_a_page_and_a_few_are_in_memory() -> None:
    bench = Bench(500)
    async with bench.running():
        await bench.settle()
        keys = [Key("team-a", f"r{number:03}") for number in range(500)]
        held = [key for key in keys if bench.roll.take(key)]
    assert 0 < len(held) <= roll._PAGE + roll._FEW


async def test_what_was_listed_long_ago_is_not_handed_on() -> None:
    bench = Bench(2)
    async with bench.running():
        await bench.settle()
        bench.now = roll._LONGEST
        assert await bench.next() == (Key("team-a", "r000"), False)


async def test_a_registry_that_is_looked_at_meanwhile_is_not_handed_on() -> None:
    bench = Bench(1)
    key = Key("team-a", "r000")
    bench.queue.add(key)
    assert await bench.queue.take() == key  # by an event, before the list came
    async with bench.running():
        await bench.settle()
        assert bench.roll.take(key) is None


class Failing(FakeCluster):
    """Fails in the middle of the first list."""

    failed = False

    async def pages(self, selection: Selection, size: int = PAGE) -> AsyncIterator[Page]:
        async for page in super().pages(selection, size):
            yield page
            if not self.failed:
                self.failed = True
                raise errors.ApiUnavailable("too old")


async def test_a_list_that_fails_is_begun_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(60, Failing())
    monkeypatch.setattr(roll, "_PAUSE", 0.0)
    async with bench.running():
        found = {(await bench.next())[0] for _ in range(60)}
        await bench.settle()
    assert len(found) == 60
    assert [len(keys) for keys in bench.called] == [60]
