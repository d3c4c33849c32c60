# SPDX-License-Identifier: Apache-2.0
import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from cais_operator import errors
from cais_operator.cluster import (
    PAGE,
    Expired,
    Object,
    Page,
    Selection,
    Watch,
    WatchEvent,
)
from cais_operator.cluster import watch as module
from support.fake_cluster import FakeCluster

Step = list[WatchEvent | Exception]


class Scripted(FakeCluster):
    """Answers watches from a script, and notes from which version they were asked."""

    def __init__(self, script: list[Step], *, seconds: float = 0.0) -> None:
        super().__init__()
        self.script = script
        self.seconds = seconds  # that each watch lasts
        self.passed = 0.0
        self.asked: list[str] = []
        self.lists = 0
        self.over = asyncio.Event()

    async def list(self, selection: Selection) -> tuple[list[Object], str]:
        assert selection.kind == "Service"
        self.lists += 1
        return [], f"list-{self.lists}"

    async def watch(self, selection: Selection, resource_version: str) -> AsyncIterator[WatchEvent]:
        assert selection.kind == "Service"
        self.asked.append(resource_version)
        if not self.script:
            self.over.set()
            await asyncio.Event().wait()
        self.passed += self.seconds
        for event in self.script.pop(0):
            if isinstance(event, Exception):
                raise event
            yield event


def event(kind: str, version: str) -> WatchEvent:
    return WatchEvent(type=kind, object={"metadata": {"resourceVersion": version}})


@pytest.fixture
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "pause_after", lambda _: 0)


async def follow(cluster: Scripted) -> list[tuple[str, Any]]:
    seen: list[tuple[str, Any]] = []
    listed: Callable[[list[Object]], None] = lambda found: seen.append(("listed", len(found)))  # noqa: E731 - a type for mypy
    watch = Watch(
        cluster,
        Selection(kind="Service"),
        listed=listed,
        changed=lambda kind, live: seen.append((kind, live["metadata"]["resourceVersion"])),
        clock=lambda: asyncio.get_running_loop().time() + cluster.passed,
    )
    task = asyncio.create_task(watch.run())
    await asyncio.wait_for(cluster.over.wait(), 60)
    task.cancel()
    return seen


@pytest.mark.usefixtures("no_pause")
async def test_it_goes_on_from_the_last_version_also_that_of_a_bookmark() -> None:
    cluster = Scripted([[event("ADDED", "5"), event("BOOKMARK", "9")], []])
    assert await follow(cluster) == [("listed", 0), ("ADDED", "5")]
    assert cluster.asked == ["list-1", "9", "9"]


@pytest.mark.usefixtures("no_pause")
async def test_a_version_that_is_too_old_means_a_new_list() -> None:
    cluster = Scripted([[event("ADDED", "5"), Expired("410")], []])
    assert await follow(cluster) == [("listed", 0), ("ADDED", "5"), ("listed", 0)]
    assert cluster.asked == ["list-1", "list-2", "list-2"]


@pytest.mark.usefixtures("no_pause")
async def test_a_broken_connection_goes_on_where_it_broke() -> None:
    away = errors.ApiUnavailable("away")
    cluster = Scripted([[event("DELETED", "5"), away], [away], []])
    assert await follow(cluster) == [("listed", 0), ("DELETED", "5")]
    assert cluster.asked == ["list-1", "5", "5", "5"]


def test_pauses_grow_and_have_an_end() -> None:
    pauses = [module.pause_after(failures) for failures in range(30)]
    assert all(0 < pause <= 15 for pause in pauses)
    assert max(pauses[:1]) <= 0.5
    assert min(pauses[10:]) >= 7.5


@pytest.fixture
def failures(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """In a row, at each pause; none is made."""
    found: list[int] = []

    def pause_after(count: int) -> float:
        found.append(count)
        return 0

    monkeypatch.setattr(module, "pause_after", pause_after)
    return found


async def test_one_that_ends_at_once_without_a_word_is_asked_less_and_less(
    failures: list[int],
) -> None:
    await follow(Scripted([[], [], [event("BOOKMARK", "9")], []]))
    assert failures == [1, 2, 0, 1]


async def test_one_that_a_balancer_ends_while_nothing_happens_is_begun_anew_at_once(
    failures: list[int],
) -> None:
    broken = errors.ApiUnavailable("the connection is broken")
    await follow(Scripted([[], [], [broken], [broken]], seconds=50.0))
    assert failures == [0, 0, 1, 1]


async def test_the_api_servers_wish_is_the_least_that_is_waited(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    await follow(Scripted([[errors.ApiUnavailable("busy", retry_after=40.0)], []]))
    assert waited[0] == 40.0


@pytest.mark.usefixtures("no_pause")
async def test_of_each_object_of_a_list_only_that_stays_which_is_kept() -> None:
    cluster = Scripted([])
    found = [{"metadata": {"name": name}, "spec": "large"} for name in "ab"]

    async def pages(selection: Selection, size: int = PAGE) -> AsyncIterator[Page]:
        assert (selection.kind, size) == ("Service", PAGE)
        page = iter([found[0]])
        yield page, "7"
        assert not list(page)  # emptied, before the next one is in memory as well
        yield iter([found[1]]), "7"

    cluster.pages = pages  # type: ignore[method-assign]
    listed: list[Object] = []
    watch = Watch(
        cluster,
        Selection(kind="Service"),
        listed=listed.extend,
        changed=lambda *_: None,
        clock=lambda: 0.0,
        kept=lambda one: {"name": one["metadata"]["name"]},
    )
    task = asyncio.create_task(watch.run())
    await asyncio.wait_for(cluster.over.wait(), 60)
    task.cancel()
    assert listed == [{"name": "a"}, {"name": "b"}]
    assert cluster.asked == ["7"]
