# SPDX-License-Identifier: Apache-2.0
"""The watch of Registries that kopf keeps: when it last heard something, and how it ends.

Kopf shows no bookmarks, and takes the whole process down when a watch says anything odd. So it gets
an HTTP session that looks at the answers on their way to it. What it cannot stand comes to it as
what it can: a watch that has expired, which it begins anew with a list. ADR 47 has the cases.
"""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable, Iterable
from http import HTTPStatus
from typing import Any, cast

import aiohttp
import msgspec

from cais_operator import names
from cais_operator.cluster import kind_of, pause_after

_LASTED = 15.0  # seconds; a watch that ends sooner without a word must not be begun all the time
_EXPIRED = {"kind": "Status", "status": "Failure", "reason": "Expired", "code": HTTPStatus.GONE}
_ANEW = json.dumps({"type": "ERROR", "object": _EXPIRED}).encode() + b"\n"
_ANSWERS = {str(int(status)) for status in (HTTPStatus.OK, HTTPStatus.GONE)}
_log = logging.getLogger(__name__)

Count = Callable[[str, str], None]


class Feed:
    """What comes of the Registries of one namespace, or of all.

    Attributes:
        kind: Of the objects.
        synced: Set when they have been listed, and their watch is answered.
        last_answer: When the API server last said anything, on the clock given; None at first.
        last_try: When it was last asked anything.
        ends: How often the watch has ended, by why, as those of `cluster.Watch`.
    """

    kind = names.KIND

    def __init__(self, namespace: str | None, clock: Callable[[], float]) -> None:
        """Say of which namespace, None for all; the clock tells seconds."""
        self.path = kind_of(names.KIND).path(namespace)
        self._clock = clock
        self._begun = clock()
        self._failures = 0
        self._is_silent = True
        self.synced = asyncio.Event()
        self.last_answer: float | None = None
        self.last_try = clock()
        self.ends = dict.fromkeys(("ended", "expired", "failed"), 0)

    def asked(self) -> None:
        """Note that the API server is asked for a list or a watch."""
        self._begun = self.last_try = self._clock()
        self._is_silent = True

    def heard(self) -> None:
        """Note that it has said something that can be read."""
        self.last_answer = self.last_try = self._clock()
        self._is_silent = False

    def over(self, reason: str) -> float:
        """Note how a watch has ended; return for how many seconds the next one has to wait."""
        self.ends[reason] += 1
        is_well = not self._is_silent or self._clock() - self._begun > _LASTED
        again = int(reason != "ended")
        self._failures = again if is_well else self._failures + 1
        return pause_after(self._failures)

    async def lines(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Yield the lines of a watch as they come; its end waits, so that no haste comes of it."""
        try:
            async for line in _split(chunks):
                reason, words = _odd(line)
                if reason is None:
                    self.heard()
                    yield line
                    continue
                if words:
                    _log.warning("watch of %s: %s: they are listed again", self.kind, words)
                await asyncio.sleep(self.over(reason))
                yield _ANEW
                return
        except asyncio.CancelledError:  # by kopf, which has heard nothing for too long
            self.over("failed")
            raise
        except (aiohttp.ClientError, OSError):
            await asyncio.sleep(self.over("failed"))
            raise
        await asyncio.sleep(self.over("ended"))


class Ear:
    """Middleware of a client session: hears what is said of Registries, and counts requests.

    Attributes:
        refusal: Status of the newest answer about Registries that was none; None if there was none.
    """

    def __init__(self, feeds: Iterable[Feed], count: Count) -> None:
        """Take whom to tell, and who counts requests; see `cluster.client.Count`."""
        self._feeds = {feed.path: feed for feed in feeds}
        self._count = count
        self.refusal: int | None = None

    async def __call__(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        """Send one request.

        Raises:
            aiohttp.ClientPayloadError: When a list cannot be read; kopf begins it anew.
        """
        is_watch = "watch" in request.url.query
        feed = self._feed(request.url.raw_path)
        code = "error"
        if feed is not None:
            feed.asked()
        try:
            answer = await handler(request)
            code = str(answer.status)
        finally:
            self._count("watch" if is_watch else "get" if feed is None else "list", code)
            if feed is not None and is_watch and code not in _ANSWERS:
                feed.over("failed")  # kopf waits, and asks again
        if feed is not None:
            self.refusal = None if answer.ok else answer.status
            await (_follow if is_watch else _read)(feed, answer)
        return answer

    def _feed(self, path: str) -> Feed | None:
        """Return whose path it is; an API server may be behind a prefix."""
        return next((feed for end, feed in self._feeds.items() if path.endswith(end)), None)


async def _follow(feed: Feed, answer: aiohttp.ClientResponse) -> None:
    """Have the lines of a watch pass through."""
    chunks: AsyncIterator[bytes] = answer.content.iter_any()
    if answer.status == HTTPStatus.GONE:  # at once, and not as an event
        answer.status, chunks = HTTPStatus.OK, _said(_ANEW)
    elif answer.ok:
        feed.synced.set()
    else:
        return
    answer.content = cast("Any", _Content(answer.content, feed.lines(chunks)))


async def _read(feed: Feed, answer: aiohttp.ClientResponse) -> None:
    """Look at a page of a list, which the answer keeps."""
    if answer.ok and _is_list(await answer.read()):
        feed.heard()
    elif answer.ok or answer.status == HTTPStatus.GONE:  # so many pages that the first is too old
        answer.release()
        _log.warning("the list of %s cannot be read, or has expired: again", feed.kind)
        await asyncio.sleep(feed.over("failed" if answer.ok else "expired"))
        raise aiohttp.ClientPayloadError("no list")


class _Content:
    """The body of an answer whose bytes come another way; the rest is the body's."""

    def __init__(self, body: aiohttp.StreamReader, chunks: AsyncIterator[bytes]) -> None:
        self._body = body
        self._chunks = chunks

    def iter_chunked(self, n: int) -> AsyncIterator[bytes]:
        """See `aiohttp.StreamReader`; what comes is a line."""
        del n
        return self._chunks

    def __getattr__(self, name: str) -> object:
        return getattr(self._body, name)


class _List(msgspec.Struct):
    """A list whose items are looked at by kopf."""

    items: list[msgspec.Raw]


_list = msgspec.json.Decoder(_List)


def _is_list(data: bytes) -> bool:
    try:
        data.decode()
        _list.decode(data)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return False
    return True


async def _said(line: bytes) -> AsyncIterator[bytes]:
    yield line


async def _split(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield whole lines with their ends; at last what has none."""
    parts: list[bytes] = []
    async for chunk in chunks:
        *whole, rest = chunk.split(b"\n")
        for end in whole:
            line = b"".join((*parts, end))
            parts.clear()
            if line:
                yield line + b"\n"
        parts.append(rest)
    if line := b"".join(parts):
        yield line


def _odd(line: bytes) -> tuple[str | None, str]:
    """Tell how a line ends its watch, None when it does not, and what is to be said of it."""
    try:
        event = json.loads(line)
        if event["type"] != "ERROR":
            event["object"]["metadata"]["resourceVersion"]
            return None, ""
        code, message = event["object"].get("code"), event["object"].get("message")
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
        return "failed", "an event cannot be read"
    if code == HTTPStatus.GONE:
        return "expired", ""
    return "failed", f"the API server says {code}: {message}"
