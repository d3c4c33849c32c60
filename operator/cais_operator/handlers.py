# SPDX-License-Identifier: Apache-2.0
"""The only room that knows kopf, and kopf knows only this: a Registry changed, put it in the queue.

`on.event` is used and nothing else of its handlers: they write annotations and finalizers.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Mapping
from http import HTTPStatus
from itertools import count
from typing import Any

import aiohttp
import kopf

from cais_operator import names
from cais_operator.cluster import Connection, pause_after
from cais_operator.cluster.client import REQUEST_TIMEOUT, WATCH_LENGTH, WATCH_SILENCE
from cais_operator.errors import ApiUnavailable, NotFound
from cais_operator.feed import Ear
from cais_operator.resource import Key
from cais_operator.settings import Settings

_PAGE = 50  # objects of one LIST request: each is in memory until the task of its own ends
_LINGER = 0.05  # seconds that this task waits for another event
_QUIET = 1.0  # seconds between two watches
_ENDS = 10.0  # seconds
_log = logging.getLogger(__name__)

Changed = Callable[[Key, str, Mapping[str, Any] | None], None]
"""Is told a Registry's key, its resourceVersion, and its status; None when it was deleted."""


async def listen(  # noqa: PLR0913 - wired in one place
    *,
    settings: Settings,
    connection: Connection,
    ear: Ear,
    changed: Changed,
    cleanup: Callable[[], Awaitable[None]],
    stop: asyncio.Event,
) -> None:
    """Report changes of Registries until told to stop, by the event or by a signal.

    Args:
        settings: For the namespaces.
        connection: How to reach the API server.
        ear: Hears what it says on the way to kopf.
        changed: Called with every Registry seen or changed.
        cleanup: Awaited at the end, before kopf cancels what still runs.
        stop: Ends it.

    Raises:
        NotFound: When the definition of Registries is deleted: kopf does not come back from that.
        ApiUnavailable: When the API server gives an answer that kopf does not come back from.
    """
    ending = asyncio.Event()
    operator = kopf.operator(
        registry=_registry(connection, ear, changed, cleanup, ending),
        settings=_settings(),
        clusterwide=not settings.namespaces,
        namespaces=settings.namespaces,
        stop_flag=stop,
    )
    try:
        await until_over(operator, ending, ear)
    except Exception as error:
        status = getattr(error, "status", None)
        if status is None:
            raise
        raise _refused(status) from error


def _refused(status: int) -> NotFound | ApiUnavailable:
    kind = f"{names.PLURAL}.{names.GROUP}"
    if status == HTTPStatus.NOT_FOUND:
        words = f"the API server knows {kind} no more: ending, to begin anew and wait for them"
        return NotFound(words)
    return ApiUnavailable(f"the API server does not give {kind} ({status}): ending, to begin anew")


class Unended(Exception):  # noqa: N818 - what kopf is
    """Kopf has begun to end, and does not come to it.

    Attributes:
        status: The answer for which it ends, None when it was told to.
    """

    def __init__(self, status: int | None) -> None:
        super().__init__("kopf does not end")
        self.status = status


async def until_over(
    operator: Coroutine[Any, Any, None], ending: asyncio.Event, ear: Ear, within: float = _ENDS
) -> None:
    """Run kopf until it has ended, or should have.

    Where one of several watches ends it, another one that is between two requests misses that it is
    cancelled (kopf 1.45.2, `clients.api.stream`), and waits for credentials that nobody gives any
    more. Cancelled once more it ends.

    Args:
        operator: Kopf.
        ending: Set when it ends, and all that is ours has ended.
        ear: Has heard why.
        within: Seconds that an end takes at most; kopf waits for 5 of them where it hangs.

    Raises:
        Unended: When it did not end by itself, after an answer that ends it.
        Exception: What it ends with.
    """
    told = asyncio.create_task(ending.wait())  # before kopf's own: it cancels what comes later
    running = asyncio.create_task(operator)
    try:
        await asyncio.wait({told, running}, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.wait({running}, timeout=within)
        is_over = running.done()
    finally:
        told.cancel()
        running.cancel()
        await asyncio.wait({running}, timeout=within)  # it cancels what was begun after it
    if is_over:
        running.result()
        return
    _log.warning("kopf does not end, %.0f seconds after it began to: it is left behind", within)
    if ear.refusal is not None:
        raise Unended(ear.refusal)


def _registry(
    connection: Connection,
    ear: Ear,
    changed: Changed,
    cleanup: Callable[[], Awaitable[None]],
    ending: asyncio.Event,
) -> kopf.OperatorRegistry:
    registry = kopf.OperatorRegistry()

    @kopf.on.login(registry=registry)
    async def login(**_: Any) -> kopf.AiohttpSession:  # noqa: ANN401 - kopf's keyword arguments
        return await _session(connection, ear)

    @kopf.on.event(names.GROUP, names.VERSION, names.PLURAL, registry=registry)
    async def event(body: Mapping[str, Any], **more: Any) -> None:  # noqa: ANN401 - see above
        metadata, is_gone = body["metadata"], more["type"] == "DELETED"
        key = Key(metadata["namespace"], metadata["name"])
        changed(key, metadata["resourceVersion"], None if is_gone else body.get("status") or {})

    @kopf.on.cleanup(registry=registry)
    async def finish(**_: Any) -> None:  # noqa: ANN401 - see above
        try:
            await cleanup()
        finally:
            ending.set()

    return registry


def _settings() -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False  # Events are ours, and few
    settings.peering.standalone = True  # a Lease elects the leader
    settings.scanning.disabled = True  # one kind, known: no right to list CRDs or namespaces needed
    settings.watching.chunk_size = _PAGE
    settings.queueing.idle_timeout = _LINGER
    settings.persistence.diffbase_storage = _NoDiffs()
    settings.watching.reconnect_backoff = _QUIET
    # as our own watches: bookmarks come every minute, and what is silent for longer is dead
    settings.watching.server_timeout = WATCH_LENGTH
    settings.watching.inactivity_timeout = WATCH_SILENCE
    settings.watching.connect_timeout = REQUEST_TIMEOUT
    settings.networking.request_timeout = REQUEST_TIMEOUT
    # It ends when its tries do, and the operator with it: an API server that answers 503 for a
    # minute is no reason to.
    settings.networking.error_backoffs = _Pauses()
    return settings


class _NoDiffs(kopf.DiffBaseStorage):
    """Keeps no state of an object: only handlers of changes compare, and there are none."""

    def build(
        self,
        *,
        body: kopf.Body,
        extra_fields: Iterable[kopf.FieldSpec] | None = None,
    ) -> kopf.BodyEssence:
        """Return nothing to compare."""
        del body, extra_fields
        return kopf.BodyEssence()

    def fetch(self, *, body: kopf.Body) -> kopf.BodyEssence | None:
        """Return nothing to compare with."""
        del body
        return None

    def store(self, *, body: kopf.Body, patch: kopf.Patch, essence: kopf.BodyEssence) -> None:
        """Write nothing."""
        del body, patch, essence


class _Pauses:
    """Pauses without an end, as long as those of our own watches; another row for each request."""

    def __iter__(self) -> Iterator[float]:
        return map(pause_after, count(2))


async def _session(connection: Connection, ear: Ear) -> kopf.AiohttpSession:
    """Return a way with fresh credentials; kopf closes it and asks again when they are refused."""
    found = await connection.credentials()
    scheme, _, token = (found.authorization or "").partition(" ")
    info = kopf.ConnectionInfo(
        server=found.server,
        ca_path=found.ca_path,
        insecure=found.insecure,
        scheme=scheme or None,
        token=token or None,
        certificate_path=found.certificate_path,
        private_key_path=found.key_path,
    )
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, ssl=info.as_ssl_context()),
        headers=info.as_http_headers(),
        trust_env=connection.is_proxied,  # the same proxy as our own client
        middlewares=(ear,),
    )
    return kopf.AiohttpSession(server=found.server, aiohttp_session=session)
