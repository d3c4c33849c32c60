# SPDX-License-Identifier: Apache-2.0
"""What kopf gets to hear of the watch of Registries, through a session as it gets one."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from cais_operator import feed as module
from cais_operator.feed import Ear, Feed
from support.apiserver import free_port

PATH = "/apis/cais.dev/v1alpha1/registries"
EXPIRED = {"kind": "Status", "status": "Failure", "reason": "Expired", "code": 410}
EVENT = {"type": "ADDED", "object": {"metadata": {"resourceVersion": "5"}}}
BOOKMARK = {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "9"}}}


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Bench:
    def __init__(self) -> None:
        self.clock = Clock()
        self.feed = Feed(None, self.clock)
        self.requests: list[tuple[str, str]] = []
        self.url = ""
        self.session = aiohttp.ClientSession(
            middlewares=(Ear([self.feed], lambda *one: self.requests.append(one)),)
        )

    async def watch(self) -> list[Any]:
        """All that kopf would read of one watch."""
        async with self.session.get(self.url + PATH, params={"watch": "true"}) as answer:
            assert answer.status == 200
            text = b"".join([line async for line in answer.content.iter_chunked(1 << 20)])
        return [json.loads(line) for line in text.splitlines()]


@asynccontextmanager
async def bench(answer: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]) -> Any:
    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port := free_port())
    await site.start()
    made = Bench()
    made.url = f"http://127.0.0.1:{port}/behind/a/prefix"
    try:
        yield made
    finally:
        await made.session.close()
        await runner.cleanup()


def says(
    *pieces: bytes, status: int = 200
) -> Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]:
    """Answer with these pieces, and end."""

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse(status=status, headers={"Content-Type": "application/json"})
        await response.prepare(request)
        for piece in pieces:
            await response.write(piece)
            await asyncio.sleep(0)
        await response.write_eof()
        return response

    return answer


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """After how many failures in a row a pause was made; they take no time."""
    found: list[int] = []

    def pause(failures: int) -> float:
        found.append(failures)
        return 0.0

    monkeypatch.setattr(module, "pause_after", pause)
    return found


def line(event: object) -> bytes:
    return json.dumps(event).encode() + b"\n"


async def test_events_pass_through_and_a_bookmark_counts_as_an_answer(pauses: list[int]) -> None:
    text = line(EVENT) + line(BOOKMARK)
    async with bench(says(text[:7], text[7:90], b"", text[90:])) as one:
        one.feed.last_answer = None
        one.clock.now += 5
        assert await one.watch() == [EVENT, BOOKMARK]
        assert one.feed.last_answer == one.clock.now
        assert one.feed.synced.is_set()
        assert one.feed.ends == {"ended": 1, "expired": 0, "failed": 0}
        assert one.requests == [("watch", "200")]
        assert pauses == [0]


def error(code: int) -> bytes:
    return line({"type": "ERROR", "object": {"kind": "Status", "code": code, "message": "etcd"}})


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (error(410), "expired"),
        (error(500), "failed"),
        (error(504), "failed"),
        (b'{"type": "MODIFIED", "obj', "failed"),
        (b"<html>no healthy upstream</html>\n", "failed"),
        (b"[" * 100_000 + b"\n", "failed"),
        (b'{"type": "MODIFIED", "object": {}}\n', "failed"),
        (b'{"type": "ERROR", "object": 5}\n', "failed"),
    ],
)
async def test_whatever_is_odd_comes_as_a_watch_that_has_expired(
    pauses: list[int], said: bytes, reason: str
) -> None:
    async with bench(says(line(EVENT), said, line(EVENT))) as one:
        assert await one.watch() == [EVENT, {"type": "ERROR", "object": EXPIRED}]
        assert {**one.feed.ends, reason: 0} == {"ended": 0, "expired": 0, "failed": 0}
        assert one.feed.ends[reason] == 1
        assert pauses == [1]


async def test_an_answer_410_says_the_same(pauses: list[int]) -> None:
    async with bench(says(b"{}", status=410)) as one:
        assert await one.watch() == [{"type": "ERROR", "object": EXPIRED}]
        assert one.feed.ends["expired"] == 1
        assert not one.feed.synced.is_set()
        assert pauses == [1]


async def test_watches_that_end_without_a_word_are_begun_more_and_more_slowly(
    pauses: list[int],
) -> None:
    async with bench(says()) as one:
        for _ in range(3):
            assert await one.watch() == []
        assert one.feed.last_answer is None
        assert pauses == [1, 2, 3]
        one.feed.asked()
        one.clock.now += 60  # balancers end what is silent for a minute
        one.feed.over("ended")
        assert pauses[-1] == 0


@pytest.mark.parametrize(
    ("status", "said", "reason"),
    [
        (200, b'{"items": [', "failed"),
        (200, b"<html></html>", "failed"),
        (200, b"{}", "failed"),
        (410, b"{}", "expired"),
    ],
)
async def test_a_list_that_cannot_be_read_is_begun_anew(
    pauses: list[int], status: int, said: bytes, reason: str
) -> None:
    async with bench(says(said, status=status)) as one:
        with pytest.raises(aiohttp.ClientPayloadError):
            await one.session.get(one.url + PATH, params={"limit": "500"})
        assert one.feed.ends[reason] == 1
        assert one.requests == [("list", str(status))]
        assert pauses == [1]


@pytest.mark.usefixtures("pauses")
async def test_lists_and_what_is_asked_of_other_kinds_stay_as_they_are() -> None:
    async with bench(says(b'{"items": []}')) as one:
        async with one.session.get(one.url + PATH, params={"limit": "500"}) as answer:
            assert await answer.json() == {"items": []}
        assert one.feed.last_answer == one.clock.now
        one.feed.last_answer = None
        async with one.session.get(one.url + "/apis/cais.dev/v1alpha1") as answer:
            assert await answer.json() == {"items": []}
        assert one.feed.last_answer is None
        assert one.requests == [("list", "200"), ("get", "200")]


@pytest.mark.usefixtures("pauses")
async def test_a_watch_that_is_refused_or_given_up_has_failed() -> None:
    hangs = asyncio.Event()

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        if "hang" not in request.query:
            return web.Response(status=500)
        response = web.StreamResponse()
        await response.prepare(request)
        await hangs.wait()
        return response

    async with bench(answer) as one:
        async with one.session.get(one.url + PATH, params={"watch": "true"}) as refused:
            assert refused.status == 500
        assert one.feed.ends["failed"] == 1
        assert one.feed.last_answer is None

        async def follow() -> None:
            query = {"watch": "true", "hang": "1"}
            async with one.session.get(one.url + PATH, params=query) as silent:
                async for _ in silent.content.iter_chunked(1 << 20):
                    pass

        with pytest.raises(TimeoutError):
            await asyncio.wait_for(follow(), 0.1)
        hangs.set()
        assert one.feed.ends["failed"] == 2
