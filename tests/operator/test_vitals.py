# SPDX-License-Identifier: Apache-2.0
"""What probes and metrics say of the leader's work, when parts of it are blocked."""

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any, cast

import aiohttp
import pytest

from cais_operator import health, loops
from cais_operator.access import AccessLoops
from cais_operator.cluster import Children, Object, Selection, WatchEvent
from cais_operator.feed import Feed
from cais_operator.loops import Loops
from cais_operator.metrics import Metrics
from cais_operator.queue import WorkQueue
from cais_operator.reconcile import Outcome
from cais_operator.resource import Key
from cais_operator.settings import Settings
from cais_operator.settled import Settled
from support.apiserver import free_port
from support.fake_cluster import FakeCluster

KEY = Key("team-a", "team")


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Blocking(FakeCluster):
    """Lists until it is told to answer nothing any more; watches never say anything."""

    answers = True

    async def list(self, selection: Selection) -> tuple[list[Object], str]:
        del selection
        if not self.answers:
            await asyncio.Event().wait()
        return [], "1"

    async def watch(self, selection: Selection, resource_version: str) -> AsyncIterator[WatchEvent]:
        del selection, resource_version
        await asyncio.Event().wait()
        yield WatchEvent(type="BOOKMARK", object={})


class Reconciler:
    """Does what it is told to do with a Registry."""

    is_blocked = False

    async def reconcile(self, key: Key, listed: Object | None = None) -> Outcome:
        del key, listed
        if self.is_blocked:
            await asyncio.Event().wait()
        return Outcome(after=None)


class Alone:
    """No other installation looks after anything."""

    is_waiting = False

    async def settle(self) -> None:
        return

    async def keep(self) -> None:
        await asyncio.Event().wait()

    def unready(self) -> str | None:
        return None

    def is_anothers(self, namespace: str) -> bool:
        del namespace
        return False

    async def leave(self, kind: str, key: Key) -> None:
        del kind, key


class Bench:
    def __init__(self, cluster: Any = None) -> None:
        self.clock, self.reconciler = Clock(), Reconciler()
        self.cluster = cluster or Blocking()
        queue = WorkQueue(self.clock)
        self.queue = queue
        self.metrics = Metrics(
            queued=lambda: len(queue),
            age=queue.age,
            watches=lambda: self.loops.seen,
            clock=self.clock,
        )
        access = SimpleNamespace(watches=(), queue=WorkQueue(self.clock), start=lambda _: None)

        async def for_ever() -> None:
            await asyncio.Event().wait()

        async def rotated() -> float:
            return 1e6

        children = Children()
        self.feed = Feed(None, self.clock)  # kopf, which feeds it, is not here
        self.feed.heard()
        self.feed.synced.set()
        self.loops = Loops(
            cluster=self.cluster,
            children=children,
            settled=Settled(children, cast("Any", None), self.clock, queue.wake),
            queue=queue,
            feeds=[self.feed],
            reconciler=cast("Any", self.reconciler),
            access=cast("AccessLoops", access),
            restarts=cast("Any", SimpleNamespace(run=for_ever, changed=lambda: None)),
            installation=cast("Any", Alone()),
            rotator=cast("Any", SimpleNamespace(step=rotated)),
            metrics=self.metrics,
            settings=Settings(resync=1e6),
            clock=self.clock,
        )

    async def runs_until(self, done: Any) -> None:
        """Run everything until something holds, and leave it as it is then."""
        work = asyncio.create_task(self.loops.run())
        async with asyncio.timeout(20):
            while not done():  # noqa: ASYNC110 - nothing tells of a step of a loop
                await asyncio.sleep(0)
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)


async def test_work_that_hangs_makes_the_leader_ill() -> None:
    bench = Bench()
    bench.reconciler.is_blocked = True
    bench.queue.add(KEY)
    await bench.runs_until(lambda: len(bench.queue) == 0 and KEY in bench.queue)
    for watch in bench.loops.seen:
        watch.last_try = 1e6
    assert bench.loops.stuck() is None
    bench.clock.now += loops._STUCK + 1
    assert "has been due for 601 s" in (bench.loops.stuck() or "")


async def test_watches_that_hang_make_the_leader_ill_and_before_that_unready() -> None:
    bench = Bench()
    await bench.runs_until(lambda: bench.loops.behind() is None)
    assert bench.loops.stuck() is None
    bench.clock.now += loops._STALE + 1
    assert "has not answered for 301 s" in (bench.loops.behind() or "")
    assert bench.loops.stuck() is None
    bench.clock.now = 1000.0 + loops._STUCK + 1
    assert bench.loops.stuck() == f"{len(bench.loops.seen)} watches have stopped"


async def test_a_leader_that_has_not_listed_everything_yet_is_unready() -> None:
    bench = Bench()
    bench.cluster.answers = False
    work = asyncio.create_task(bench.loops.run())
    await asyncio.sleep(0)
    assert bench.loops.behind() == "the Registries and their children have not been listed yet"
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)


async def test_the_watch_of_registries_alone_makes_the_leader_unready_and_ill() -> None:
    bench = Bench()
    bench.feed.synced.clear()
    await bench.runs_until(lambda: all(one.synced.is_set() for one in bench.loops.watches))
    assert "have not been listed" in (bench.loops.behind() or "")
    bench.feed.synced.set()
    assert bench.loops.behind() is None
    bench.clock.now += loops._STUCK + 1
    for watch in bench.loops.watches:
        watch.last_answer = watch.last_try = bench.clock.now
    assert "has not answered for 601 s" in (bench.loops.behind() or "")
    assert bench.loops.stuck() == "1 watches have stopped"
    bench.feed.asked()  # kopf goes on
    assert bench.loops.stuck() is None
    bench.feed.heard()
    assert bench.loops.behind() is None


async def test_watches_tell_their_age_and_why_they_ended() -> None:
    bench = Bench()
    await bench.runs_until(lambda: bench.loops.behind() is None)
    bench.clock.now += 42
    text = bench.metrics.text().decode()
    assert 'cais_watch_last_event_age_seconds{kind="Secret"} 42.0' in text
    assert 'cais_watch_last_event_age_seconds{kind="Registry"} 42.0' in text
    watch = next(one for one in bench.loops.watches if one.kind == "Secret")
    watch.ends["expired"] += 2
    text = bench.metrics.text().decode()
    assert 'cais_watch_restarts_total{kind="Secret",reason="expired"} 2.0' in text


def test_registries_are_counted_by_how_they_are_and_forgotten_when_they_go() -> None:
    metrics = Metrics(queued=lambda: 0, age=lambda: 0)
    ready = {"conditions": [{"type": "Ready", "status": "True"}]}
    ends = {"certificate": {"notAfter": "2026-03-01T00:00:00Z"}}
    metrics.census.note(KEY, {})
    metrics.census.note(Key("team-a", "other"), {**ready, **ends})
    metrics.census.note(KEY, ready)
    text = metrics.text().decode()
    assert 'cais_registries{ready="True"} 2.0' in text
    assert "cais_registries_certificate_expiry_timestamp_seconds 1.7723232e+09" in text
    metrics.census.forget(Key("team-a", "other"))
    text = metrics.text().decode()
    assert 'cais_registries{ready="True"} 1.0' in text
    assert "cais_registries_certificate_expiry_timestamp_seconds 1" not in text


@pytest.mark.parametrize("word", ["Odd", None])
def test_a_condition_that_is_no_word_of_ours_is_unknown(word: str | None) -> None:
    metrics = Metrics(queued=lambda: 0, age=lambda: 0)
    metrics.census.note(KEY, {"conditions": [{"type": "Ready", "status": word}]})
    assert metrics.census.ready() == {"True": 0, "False": 0, "Unknown": 1}


class Well:
    def ill(self) -> str | None:
        return None

    def unready(self) -> str | None:
        return "not yet"


async def test_probes_are_answered_on_both_families_and_say_why() -> None:
    port = free_port()
    runner = await health.serve(f"[::]:{port}", Well(), lambda: b"")
    try:
        async with aiohttp.ClientSession() as session:
            for host in ("[::1]", "127.0.0.1"):
                async with session.get(f"http://{host}:{port}/healthz") as answer:
                    assert answer.status == 200
                async with session.get(f"http://{host}:{port}/readyz") as answer:
                    assert (answer.status, await answer.text()) == (503, "not yet\n")
    finally:
        await runner.cleanup()
