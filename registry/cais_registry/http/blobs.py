# SPDX-License-Identifier: Apache-2.0
"""Finished blobs (distribution-spec end-2, end-10)."""

from __future__ import annotations

from typing import Final

from cais_registry.http import ranges
from cais_registry.http.acts import Act
from cais_registry.http.deps import Deps
from cais_registry.http.gate import Caller
from cais_registry.http.requests import Request
from cais_registry.http.responses import FileBody, Headers, Response, StreamBody
from cais_registry.http.router import BlobPath
from cais_registry.model.digest import Digest
from cais_registry.services.access import Action
from cais_registry.services.blobs import OpenBlob

IMMUTABLE: Final = "private, max-age=31536000, immutable"
"""What a digest names never changes."""


async def handle(deps: Deps, request: Request, caller: Caller, path: BlobPath) -> Response:
    """Answer HEAD, GET and DELETE of a blob."""
    match request.method:
        case "HEAD":
            return await _head(deps, request, caller, path)
        case "GET":
            return await _get(deps, request, path)
        case _:
            await deps.core.blobs.delete(path.repo, path.digest)
            done = Act(event="blob.delete", digest=str(path.digest))
            return Response(status=202, acts=(done,))


async def _head(deps: Deps, request: Request, caller: Caller, path: BlobPath) -> Response:
    """Answered here also where a GET is sent elsewhere: a signed address is good for GET only."""
    promise = caller.may(Action.CREATE, path.repo)
    info = await deps.core.blobs.stat(path.repo, path.digest, promise=promise)
    headers = _headers(path.digest)
    if ranges.is_unchanged(request.headers, _etag(path.digest)):
        return Response(status=304, headers=headers)
    length = ("Content-Length", str(info.size))
    return Response(headers=(*headers, length), adds_length=False)


async def _get(deps: Deps, request: Request, path: BlobPath) -> Response:
    wants_link = request.parameter("redirect") != "false"
    blob = await deps.core.blobs.open(path.repo, path.digest, wants_link=wants_link)
    if ranges.is_unchanged(request.headers, _etag(blob.digest)):
        blob.content.close()
        return Response(status=304, headers=_headers(blob.digest))
    if blob.link is not None:
        return _elsewhere(blob, blob.link)
    try:
        return _select(request, blob)
    except BaseException:
        blob.content.close()
        raise


def _select(request: Request, blob: OpenBlob) -> Response:
    part = ranges.wanted(request.headers, size=blob.size, etag=_etag(blob.digest))
    start, length = part or (0, blob.size)
    body = _body(blob, start, length)
    if part is None:
        return Response(headers=_headers(blob.digest), body=body)
    span = ("Content-Range", f"bytes {start}-{start + length - 1}/{blob.size}")
    return Response(status=206, headers=(*_headers(blob.digest), span), body=body)


def _body(blob: OpenBlob, start: int, length: int) -> FileBody | StreamBody:
    """A file goes out by its descriptor, the fast way."""
    if blob.content.fd is not None:
        return FileBody(fd=blob.content.fd, start=start, length=length)
    return StreamBody(content=blob.content, start=start, length=length)


def _elsewhere(blob: OpenBlob, link: str) -> Response:
    """Send the client to the object store; the address holds for minutes, so nobody keeps it."""
    blob.content.close()
    headers = (
        ("Location", link),
        ("Docker-Content-Digest", str(blob.digest)),
        ("Cache-Control", "no-store"),
    )
    return Response(status=307, headers=headers)


def _etag(digest: Digest) -> str:
    return f'"{digest}"'


def _headers(digest: Digest) -> Headers:
    return (
        ("Content-Type", "application/octet-stream"),
        ("Docker-Content-Digest", str(digest)),
        ("ETag", _etag(digest)),
        ("Accept-Ranges", "bytes"),
        ("Cache-Control", IMMUTABLE),
    )
