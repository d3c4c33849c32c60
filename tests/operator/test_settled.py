# SPDX-License-Identifier: Apache-2.0
"""Registries that rest are not looked at, and no news is missed."""

from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from cais_operator import names
from cais_operator.cluster import Children
from cais_operator.observed import ServerState
from cais_operator.pace import Rest
from cais_operator.registry_api import Way
from cais_operator.resource import Key
from cais_operator.settled import Settled

KEY = Key("team-a", "team")
REGISTRY = (names.KIND, *KEY)
CHILD = ("Service", *KEY)
WAY = Way(host="10.96.0.7", name="team.team-a.svc", ca=None, password="x")


@dataclass
class Answers:
    """A server that says the same until it is changed."""

    said: ServerState = field(default_factory=ServerState)
    asked: int = 0

    async def state(self, way: Way) -> ServerState:
        assert way == WAY
        self.asked += 1
        return self.said

    async def collect(self, way: Way, *, dry_run: bool) -> str | None:
        raise AssertionError(f"nobody asks for that: {way}, {dry_run}")


class Bench:
    """One Registry that rests, as of its version 7."""

    def __init__(self, way: Way | None = None) -> None:
        self.children = Children()
        self.server = Answers()
        self.now = 0.0
        self.woken: list[Key] = []
        self.settled = Settled(self.children, self.server, lambda: self.now, self.woken.append)
        state = self.server.said if way else None
        rest = Rest(version="7", after=10.0, longest=25.0, way=way, state=state)
        self.settled.rest(KEY, rest)

    async def rests(self, *, is_asked: bool = False) -> bool:
        return await self.settled.pause(KEY, is_asked=is_asked) is not None

    def child(self, version: str) -> dict[str, Any]:
        metadata = {"namespace": KEY.namespace, "name": KEY.name, "uid": "1"}
        return {"kind": "Service", "metadata": {**metadata, "resourceVersion": version}}


async def test_a_registry_without_news_rests_until_its_time() -> None:
    made = Bench()
    assert await made.settled.pause(KEY, is_asked=False) == 10.0
    made.now = 20.0
    assert await made.settled.pause(KEY, is_asked=False) == 5.0
    made.now = 25.0
    assert not await made.rests()


async def test_one_that_is_looked_at_rests_no_more() -> None:
    made = Bench()
    assert not await made.rests(is_asked=True)
    assert not await made.rests()


async def test_the_echo_of_its_own_status_wakes_nobody() -> None:
    made = Bench()
    made.settled.told(KEY, REGISTRY, "7")
    assert await made.rests()


@pytest.mark.parametrize("version", ["6", "8"])
async def test_any_other_version_of_the_registry_is_news(version: str) -> None:
    made = Bench()
    made.settled.told(KEY, REGISTRY, version)
    assert made.woken == [KEY]
    assert not await made.rests()


async def test_the_echo_of_a_child_that_came_before_the_answer_wakes_nobody() -> None:
    made = Bench()
    made.children.put(made.child("5"))  # the watch was faster
    made.settled.told(KEY, CHILD, "5")
    made.children.put(made.child("5"), is_written=True)
    assert await made.rests()


async def test_a_child_that_somebody_else_has_changed_is_news() -> None:
    made = Bench()
    made.children.put(made.child("5"), is_written=True)
    made.children.put(made.child("6"))
    made.settled.told(KEY, CHILD, "6")
    assert not await made.rests()


@pytest.mark.parametrize("events", ["5", "56"])
async def test_a_change_that_a_later_write_of_ours_hides_is_news(events: str) -> None:
    made = Bench()
    for version in events:
        made.settled.told(KEY, CHILD, version)
    made.children.put(made.child("6"), is_written=True)
    assert not await made.rests()


async def test_a_child_that_is_gone_is_news() -> None:
    made = Bench()
    made.children.put(made.child("5"), is_written=True)
    made.children.drop(made.child("5"))
    made.settled.told(KEY, CHILD, "6")
    assert not await made.rests()


async def test_a_server_is_asked_and_what_it_says_anew_is_news() -> None:
    made = Bench(WAY)
    assert await made.rests()
    assert made.server.asked == 1
    made.server.said = replace(made.server.said, error="gone")
    assert not await made.rests()


async def test_nothing_is_kept_of_a_registry_that_is_gone() -> None:
    made = Bench()
    made.settled.told(KEY, REGISTRY, "7")
    made.settled.forget(KEY)
    assert not await made.rests()
    assert not made.settled._news
    assert not made.settled._resting
