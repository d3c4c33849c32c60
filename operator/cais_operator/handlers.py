# SPDX-License-Identifier: Apache-2.0
"""The only room that knows kopf, and kopf knows only this: a Registry changed, put it in the queue.

`on.event` is used and nothing else of its handlers: they write annotations and finalizers.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from http import HTTPStatus
from itertools import count
from typing import Any

import kopf

from cais_operator import names
from cais_operator.cluster import Connection, pause_after
from cais_operator.errors import NotFound
from cais_operator.resource import Key
from cais_operator.settings import Settings

_PAGE = 500  # objects of one LIST request
_QUIET = 1.0  # seconds between two watches

Changed = Callable[[Key, str, Mapping[str, Any] | None], None]
"""Is told a Registry's key, its resourceVersion, and its status; None when it was deleted."""


async def listen(
    *,
    settings: Settings,
    connection: Connection,
    changed: Changed,
    cleanup: Callable[[], Awaitable[None]],
    stop: asyncio.Event,
) -> None:
    """Report changes of Registries until told to stop, by the event or by a signal.

    Args:
        settings: For the namespaces.
        connection: How to reach the API server.
        changed: Called with every Registry seen or changed.
        cleanup: Awaited at the end, before kopf cancels what still runs.
        stop: Ends it.

    Raises:
        NotFound: When the definition of Registries is deleted: kopf does not come back from that.
    """
    try:
        await kopf.operator(
            registry=_registry(connection, changed, cleanup),
            settings=_settings(),
            clusterwide=not settings.namespaces,
            namespaces=settings.namespaces,
            stop_flag=stop,
        )
    except Exception as error:
        if getattr(error, "status", None) != HTTPStatus.NOT_FOUND:
            raise
        kind = f"{names.PLURAL}.{names.GROUP}"
        words = f"the API server knows {kind} no more: ending, to begin anew and wait for them"
        raise NotFound(words) from error


def _registry(
    connection: Connection,
    changed: Changed,
    cleanup: Callable[[], Awaitable[None]],
) -> kopf.OperatorRegistry:
    registry = kopf.OperatorRegistry()

    @kopf.on.login(registry=registry)
    async def login(**_: Any) -> kopf.ConnectionInfo:  # noqa: ANN401 - kopf's keyword arguments
        return await _connection_info(connection)

    @kopf.on.event(names.GROUP, names.VERSION, names.PLURAL, registry=registry)
    async def event(body: Mapping[str, Any], **more: Any) -> None:  # noqa: ANN401 - see above
        metadata, is_gone = body["metadata"], more["type"] == "DELETED"
        key = Key(metadata["namespace"], metadata["name"])
        changed(key, metadata["resourceVersion"], None if is_gone else body.get("status") or {})

    @kopf.on.cleanup(registry=registry)
    async def finish(**_: Any) -> None:  # noqa: ANN401 - see above
        await cleanup()

    return registry


def _settings() -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False  # Events are ours, and few
    settings.peering.standalone = True  # a Lease elects the leader
    settings.scanning.disabled = True  # one kind, known: no right to list CRDs or namespaces needed
    settings.watching.chunk_size = _PAGE
    settings.watching.reconnect_backoff = _QUIET
    settings.networking.request_timeout = 30.0
    # It ends when its tries do, and the operator with it: an API server that answers 503 for a
    # minute is no reason to.
    settings.networking.error_backoffs = _Pauses()
    return settings


class _Pauses:
    """Pauses without an end, as long as those of our own watches; another row for each request."""

    def __iter__(self) -> Iterator[float]:
        return map(pause_after, count(2))


async def _connection_info(connection: Connection) -> kopf.ConnectionInfo:
    """Return fresh credentials; kopf asks again when the API server refuses the old ones."""
    found = await connection.credentials()
    scheme, _, token = (found.authorization or "").partition(" ")
    return kopf.ConnectionInfo(
        server=found.server,
        ca_path=found.ca_path,
        insecure=found.insecure,
        scheme=scheme or None,
        token=token or None,
        certificate_path=found.certificate_path,
        private_key_path=found.key_path,
        trust_env=True,  # the same proxy as our own client
    )
