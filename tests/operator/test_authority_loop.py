# SPDX-License-Identifier: Apache-2.0
"""The CA's Secret is watched by its name, and who has to know is told of its changes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

from cais_operator import names
from cais_operator.authority_loop import AuthorityLoop
from cais_operator.cluster import Children, Expired, Object, Selection, WatchEvent
from support.fake_cluster import FakeCluster

CA = ("Secret", "cais-system", names.AUTHORITY_SECRET)


def secret(version: str, **more: Any) -> Object:
    metadata = {"namespace": CA[1], "name": CA[2], "uid": "1", "resourceVersion": version}
    return {"kind": "Secret", "metadata": {**metadata, **more}}


class Watched(FakeCluster):
    """Shows the Secret, and then what it is told to."""

    def __init__(self, found: list[Object]) -> None:
        super().__init__()
        self.found = found
        self.events: asyncio.Queue[WatchEvent | None] = asyncio.Queue()

    async def list(self, selection: Selection) -> tuple[list[Object], str]:
        assert (selection.kind, selection.namespace) == CA[:2]
        assert selection.fields == f"metadata.name={CA[2]}"
        assert selection.metadata_only
        assert not selection.labels  # which one from a backup may have lost
        return self.found, "1"

    async def watch(self, selection: Selection, resource_version: str) -> AsyncIterator[WatchEvent]:
        del selection, resource_version
        while (event := await self.events.get()) is not None:
            yield event
            self.events.task_done()
        self.events.task_done()
        raise Expired("too old")

    async def shows(self, change: str, live: Object) -> None:
        self.events.put_nowait(WatchEvent(type=change, object=live))
        await self.events.join()


class Bench:
    """One loop, and how often the rotation and the Registries were told."""

    def __init__(self, found: list[Object]) -> None:
        self.cluster, self.children = Watched(found), Children()
        self.steps = self.concerned = 0
        self.loop = AuthorityLoop(
            self.cluster,
            CA[1],
            self.children,
            cast("Any", self),
            concerned=self.concern,
            clock=lambda: 0.0,
        )

    async def step(self) -> float:
        """The rotation's."""
        self.steps += 1
        return 1e6

    def concern(self) -> None:
        self.concerned += 1

    def version(self) -> str | None:
        known = self.children.get(*CA)
        return known.version if known else None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        work = [asyncio.create_task(one) for one in (self.loop.watch.run(), self.loop.run())]
        try:
            async with asyncio.timeout(20):
                await self.loop.watch.synced.wait()
                await self.until_steps(1)
                yield
        finally:
            for one in work:
                one.cancel()
            await asyncio.gather(*work, return_exceptions=True)

    async def until_steps(self, count: int) -> None:
        while self.steps < count:  # noqa: ASYNC110 - nothing tells of a step of a loop
            await asyncio.sleep(0)


async def test_a_change_of_one_without_labels_is_told_to_all() -> None:
    made = Bench([secret("1")])
    async with made.running():
        assert (made.version(), made.concerned) == ("1", 1)
        await made.cluster.shows("MODIFIED", secret("2"))
        assert (made.version(), made.concerned) == ("2", 2)
        await made.until_steps(2)


async def test_the_notes_of_the_rotation_are_told_to_nobody() -> None:
    made = Bench([secret("1")])
    async with made.running():
        await made.cluster.shows("MODIFIED", secret("2", annotations={names.ROTATION: "waits"}))
        assert (made.version(), made.concerned, made.steps) == ("2", 1, 1)


async def test_the_same_seen_twice_is_told_once() -> None:
    made = Bench([secret("1")])
    async with made.running():
        await made.cluster.shows("MODIFIED", secret("1"))
        assert made.concerned == 1


async def test_one_that_is_deleted_is_told_to_all() -> None:
    made = Bench([secret("1")])
    async with made.running():
        await made.cluster.shows("DELETED", secret("2"))
        assert (made.version(), made.concerned) == (None, 2)
        await made.until_steps(2)


async def test_one_that_was_deleted_while_nobody_watched_is_told_to_all() -> None:
    made = Bench([secret("1")])
    async with made.running():
        made.cluster.found = []
        made.cluster.events.put_nowait(None)
        await made.until_steps(2)
        assert (made.version(), made.concerned) == (None, 2)
