# SPDX-License-Identifier: Apache-2.0
"""Requests to the Kubernetes API with plain objects, through the official asyncio client.

Only its configuration, authentication and plain-dict requests are used: its typed models, dynamic
client and Watch stay out (they validate, cache and retry in ways that cannot be turned off).
"""

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
from kubernetes.aio.client.api_client import ApiClient

from cais_operator import __version__, errors, names
from cais_operator.cluster.connect import Connection
from cais_operator.cluster.errors_map import UNREACHABLE, error_from, unavailable
from cais_operator.cluster.interface import (
    PAGE,
    Expired,
    Listing,
    Object,
    Page,
    Selection,
    WatchEvent,
)
from cais_operator.cluster.kinds import kind_of
from cais_operator.cluster.reading import read, read_event, read_page

SHORT = 12  # connections for requests that end: workers and lists; each has 300 KiB of buffers
REQUEST_TIMEOUT = 30.0  # seconds
DOCUMENT_TIMEOUT = 10.0  # seconds
WATCH_SILENCE = 150.0  # seconds; bookmarks come every minute
WATCH_LENGTH = 570  # seconds; then the API server ends it and the next one starts
_ERRORS = 400  # HTTP statuses from here on
_JSON = "application/json"
_METADATA = f"{_JSON};as=PartialObjectMetadata%s;g=meta.k8s.io;v=v1"
_LEASES = kind_of("Lease").path(None).removesuffix("leases")  # and nothing else is there
_STRICT = {"fieldValidation": "Strict"}

Count = Callable[[str, str], None]
"""Is told of each request: its verb in Kubernetes' words, and the status or `error`."""


class Client:
    """Implements `interface.Cluster` over HTTP."""

    def __init__(
        self,
        connection: Connection,
        count: Count | None = None,
        may_write: Callable[[], bool] = lambda: True,
    ) -> None:
        """Take the way there, who counts, and who is asked before writes of all but Leases."""
        count = count or _uncounted
        self._may_write = may_write
        self._short = _api_client(connection, count, connections=SHORT)
        self._long = _api_client(connection, count, connections=0)  # watches: one each, no bound

    async def close(self) -> None:
        """Close all connections."""
        for way in (self._short, self._long):
            await way.client.close()  # type: ignore[no-untyped-call]

    async def get(self, kind: str, namespace: str, name: str) -> Object:
        """See `interface.Cluster`."""
        subject = f"{kind} {namespace}/{name}"
        return await self._send("GET", kind_of(kind).path(namespace, name), subject)

    async def list(self, selection: Selection) -> Listing:
        """See `interface.Cluster`."""
        found: list[Object] = []
        version = ""
        async for page, version in self.pages(selection):  # noqa: B007 - the last
            found.extend(page)
        return found, version

    async def pages(self, selection: Selection, size: int = PAGE) -> AsyncIterator[Page]:
        """See `interface.Cluster`."""
        kind = kind_of(selection.kind)
        accept = _METADATA % "List" if selection.metadata_only else _JSON
        path, subject = kind.path(selection.namespace), f"the list of {kind.plural}"
        query = _query(selection) | {"limit": str(size)}
        known = {"apiVersion": kind.api_version, "kind": kind.name}
        while True:
            answer = await self._answer("GET", path, subject, query=query, accept=accept)
            page = read_page(answer, subject)
            yield ({**one, **known} for one in page.objects(subject)), page.version
            if not page.next:
                return
            query["continue"] = page.next

    async def create(self, manifest: Object) -> Object:
        """See `interface.Cluster`."""
        query = {"fieldManager": names.MANAGER, **_STRICT}
        return await self._write("POST", manifest, named=False, query=query)

    async def replace(self, manifest: Object) -> Object:
        """See `interface.Cluster`."""
        query = {"fieldManager": names.MANAGER, **_STRICT}
        return await self._write("PUT", manifest, query=query)

    async def apply(self, manifest: Object) -> Object:
        """See `interface.Cluster`."""
        query = {"fieldManager": names.MANAGER, "force": "true", **_STRICT}
        content = "application/apply-patch+yaml"
        return await self._write("PATCH", manifest, query=query, content=content)

    async def apply_status(self, manifest: Object) -> Object:
        """See `interface.Cluster`."""
        query = {"fieldManager": names.STATUS_MANAGER, "force": "true", **_STRICT}
        content = "application/apply-patch+yaml"
        return await self._write("PATCH", manifest, query=query, content=content, sub="status")

    async def patch(
        self, kind: str, namespace: str, name: str, change: Mapping[str, Any]
    ) -> Object:
        """See `interface.Cluster`."""
        return await self._send(
            "PATCH",
            kind_of(kind).path(namespace, name),
            f"{kind} {namespace}/{name}",
            query={"fieldManager": names.MANAGER, **_STRICT},
            body=dict(change),
            content="application/merge-patch+json",
        )

    async def delete(self, kind: str, namespace: str, name: str, *, uid: str) -> None:
        """See `interface.Cluster`."""
        body = {"preconditions": {"uid": uid}, "propagationPolicy": "Background"}
        path = kind_of(kind).path(namespace, name)
        await self._send("DELETE", path, f"{kind} {namespace}/{name}", body=body)

    async def document(self, path: str, *, most: int) -> bytes:
        """See `interface.Cluster`."""
        timeout = aiohttp.ClientTimeout(total=DOCUMENT_TIMEOUT)
        try:
            response = await _request(self._short, "GET", path, {}, "*/*", timeout=timeout)
            async with response:
                data = b""
                while len(data) <= most and (more := await response.content.read(most + 1)):
                    data += more
        except UNREACHABLE as error:
            raise unavailable(path, error) from error
        if response.status >= _ERRORS:
            raise error_from(response.status, response.headers, data[:most], path)
        if len(data) > most:
            raise errors.ApiUnavailable(f"{path} of the API server has more than {most} bytes")
        return data

    async def watch(self, selection: Selection, resource_version: str) -> AsyncIterator[WatchEvent]:
        """See `interface.Cluster`."""
        kind = kind_of(selection.kind)
        subject = f"the watch of {kind.plural}"
        query = _query(selection) | {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": resource_version,
            "timeoutSeconds": str(WATCH_LENGTH),
        }
        accept = _METADATA % "" if selection.metadata_only else _JSON
        timeout = aiohttp.ClientTimeout(sock_connect=REQUEST_TIMEOUT, sock_read=WATCH_SILENCE)
        try:
            response = await _request(
                self._long, "GET", kind.path(selection.namespace), query, accept, timeout=timeout
            )
            async with response:
                if response.status >= _ERRORS:
                    raise error_from(
                        response.status, response.headers, await response.read(), subject
                    )
                async for line in response.content:
                    yield read_event(line, subject)
        except UNREACHABLE as error:
            raise unavailable(subject, error) from error

    async def _write(  # noqa: PLR0913 - what a request has
        self,
        method: str,
        manifest: Object,
        *,
        query: Mapping[str, str],
        content: str = _JSON,
        sub: str | None = None,
        named: bool = True,
    ) -> Object:
        metadata = manifest["metadata"]
        name, namespace = metadata["name"], metadata["namespace"]
        kind = kind_of(manifest["kind"])
        return await self._send(
            method,
            kind.path(namespace, name if named else None, sub),
            f"{kind.name} {namespace}/{name}",
            query=query,
            body=manifest,
            content=content,
        )

    async def _send(
        self,
        method: str,
        path: str,
        subject: str,
        **request: Any,  # noqa: ANN401 - those of `_answer`
    ) -> Object:
        return read(await self._answer(method, path, subject, **request), subject)

    async def _answer(  # noqa: PLR0913 - what a request has
        self,
        method: str,
        path: str,
        subject: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Object | None = None,
        content: str = _JSON,
        accept: str = _JSON,
    ) -> bytes:
        timeout = aiohttp.ClientTimeout(total=REQUEST_TIMEOUT)
        if method != "GET" and not path.startswith(_LEASES) and not self._may_write():
            raise errors.ApiUnavailable(f"{subject} is not written: this process no longer leads")
        try:
            response = await _request(
                self._short, method, path, query or {}, accept, body, content, timeout=timeout
            )
            async with response:
                data = await response.read()
            if response.status >= _ERRORS:
                raise error_from(response.status, response.headers, data, subject)
        except Expired as error:  # so many pages that the first one is too old: all again
            raise errors.ApiUnavailable(str(error)) from error
        except UNREACHABLE as error:
            raise unavailable(subject, error) from error
        return data


def _uncounted(verb: str, code: str) -> None:
    del verb, code


@dataclass(frozen=True, slots=True)
class _Way:
    client: ApiClient
    count: Count


async def _request(  # noqa: PLR0913, PLR0917 - what a request has
    way: _Way,
    method: str,
    path: str,
    query: Mapping[str, str],
    accept: str,
    body: Object | None = None,
    content: str = _JSON,
    *,
    timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - aiohttp's own, for connect and read apart
) -> aiohttp.ClientResponse:
    _, url, headers, data, _ = await way.client.param_serialize(
        method,
        path,
        query_params=dict(query),
        header_params={"Accept": accept, "Accept-Encoding": "identity", "Content-Type": content},
        body=body,
        auth_settings=["BearerToken"],
    )
    verb, code = _verb(method, query), "error"
    try:
        answer = await way.client.call_api(method, url, headers, data, _request_timeout=timeout)
        response: aiohttp.ClientResponse = answer.response
        code = str(response.status)
    finally:
        way.count(verb, code)
    return response


def _verb(method: str, query: Mapping[str, str]) -> str:
    """Return what Kubernetes calls a request."""
    if method == "GET":
        return "watch" if "watch" in query else "list" if "limit" in query else "get"
    return {"POST": "create", "PUT": "update"}.get(method, method.lower())


def _api_client(connection: Connection, count: Count, *, connections: int) -> _Way:
    configuration = connection.configuration()
    configuration.connection_pool_maxsize = connections
    # Else two threads are asked before each request, for a proxy and for a ~/.netrc.
    configuration.client_session_kwargs = {"trust_env": connection.is_proxied}
    client = ApiClient(configuration)
    client.user_agent = f"cais-operator/{__version__}"
    return _Way(client, count)


def _query(selection: Selection) -> dict[str, str]:
    query = {"labelSelector": selection.labels, "fieldSelector": selection.fields}
    return {key: value for key, value in query.items() if value}
