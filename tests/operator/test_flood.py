# SPDX-License-Identifier: Apache-2.0
"""A Registry that goes to and fro makes few Events, and each of them costs one call."""

from datetime import datetime, timedelta
from typing import Any

from cais_operator.flood import MOST, Flood
from cais_operator.report import Reporter
from operator_builders import NOW, body
from support.fake_cluster import FakeCluster

READY = {"type": "Ready", "status": "True", "reason": "Serving", "message": "serving"}
AWAY = {"type": "Ready", "status": "False", "reason": "Unreachable", "message": "no answer"}


class Bench:
    def __init__(self) -> None:
        self.cluster = FakeCluster()
        self.reporter = Reporter(self.cluster)
        self.status: dict[str, Any] = {}
        self.is_away = True

    async def turn(self, now: datetime, **words: str) -> None:
        """Let the condition Ready become the other one."""
        self.is_away = not self.is_away
        ready = AWAY if self.is_away else READY
        before, self.status = self.status, {"conditions": [{**ready, **words}]}
        live = self.cluster.put({**body(), "kind": "Registry", "status": before})
        assert await self.reporter.report(live, self.status, now)

    def events(self) -> list[dict[str, Any]]:
        return [one for (kind, *_), one in self.cluster.objects.items() if kind == "Event"]


async def test_a_hundred_changes_to_and_fro_are_told_once_in_ten_minutes() -> None:
    bench = Bench()
    for number in range(100):
        await bench.turn(NOW + timedelta(seconds=10 * number))
    assert [one["reason"] for one in bench.events()] == ["Serving", "Unreachable"] * 2
    asked = [verb for verb, kind, _ in bench.cluster.requests if kind == "Event"]
    assert asked == ["create"] * 4


async def test_changes_in_ever_other_words_come_to_an_end_for_this_hour() -> None:
    bench = Bench()
    for number in range(2 * MOST):
        await bench.turn(NOW + timedelta(seconds=number), message=f"{number} layers")
    assert len(bench.events()) == MOST
    await bench.turn(NOW + timedelta(hours=1), message="again")
    assert len(bench.events()) == MOST + 1


async def test_each_garbage_collection_is_told() -> None:
    bench = Bench()
    ran = {"type": "GarbageCollected", "status": "True", "reason": "Succeeded", "message": "done"}
    for minute in range(3):
        now = NOW + timedelta(minutes=minute)
        status = {"conditions": [ran], "garbageCollection": {"lastRunTime": f"{now}"}}
        live = bench.cluster.put({**body(), "kind": "Registry", "status": bench.status})
        await bench.reporter.report(live, status, now)
        bench.status = status
    assert len(bench.events()) == 3


def test_what_is_told_of_one_takes_no_room_from_another() -> None:
    flood = Flood()
    for number in range(MOST):
        assert flood.takes("one", number, NOW)
    assert not flood.takes("one", "more", NOW)
    assert flood.takes("two", 1, NOW)
