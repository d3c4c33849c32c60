# SPDX-License-Identifier: Apache-2.0
"""Who is told of a change of an object that specs refer to."""

import asyncio
from collections.abc import AsyncIterator

from cais_operator.cluster import Object, Selection, WatchEvent
from cais_operator.queue import WorkQueue
from cais_operator.references import References
from cais_operator.resource import Key
from support.fake_cluster import FakeCluster

KEY, OTHER, FAR = Key("team-a", "team"), Key("team-a", "other"), Key("team-b", "team")


class Told(FakeCluster):
    """One watch, which shows what it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.events: asyncio.Queue[str] = asyncio.Queue()

    async def list(self, selection: Selection) -> tuple[list[Object], str]:
        assert selection.fields == "metadata.name=shared"
        return [], "1"

    async def watch(self, selection: Selection, resource_version: str) -> AsyncIterator[WatchEvent]:
        del selection, resource_version
        while True:
            version = await self.events.get()
            yield WatchEvent(type="MODIFIED", object={"metadata": {"resourceVersion": version}})
            self.events.task_done()


async def _shown(cluster: Told, version: str) -> None:
    cluster.events.put_nowait(version)
    await cluster.events.join()


async def test_who_is_looked_at_while_it_changes_is_looked_at_again() -> None:
    """It may have read what was there before, and what it refers to is noted at the end."""
    cluster, queue = Told(), WorkQueue(lambda: 0.0)
    references = References(cluster, queue, lambda: 0.0)
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        references.start(group)
        references.set(KEY, ("shared",))
        await _shown(cluster, "2")
        assert await queue.take() == KEY
        queue.done(KEY)
        for key in (OTHER, FAR):
            queue.add(key)
            assert await queue.take() == key
        await _shown(cluster, "3")
        references.set(OTHER, ("shared",))
        queue.done(OTHER)
        queue.done(FAR)
        assert {await queue.take(), await queue.take()} == {KEY, OTHER}
        assert queue.is_asked(OTHER)
        assert FAR not in queue
        references.forget(KEY)
        references.forget(OTHER)


async def test_known_is_also_who_is_looked_at_for_the_first_time() -> None:
    queue = WorkQueue(lambda: 0.0)
    references = References(Told(), queue, lambda: 0.0)
    references.set(KEY, ())
    queue.add(OTHER)
    queue.add(FAR)
    assert await queue.take() == OTHER
    assert set(references.known()) == {KEY, OTHER}
