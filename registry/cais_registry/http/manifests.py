# SPDX-License-Identifier: Apache-2.0
"""Manifests (distribution-spec end-3, end-7, end-9)."""

from __future__ import annotations

from cais_registry.http import ranges, warnings
from cais_registry.http.acts import Act
from cais_registry.http.blobs import IMMUTABLE
from cais_registry.http.deps import Deps
from cais_registry.http.errors import TooManyTags
from cais_registry.http.gate import Caller
from cais_registry.http.requests import Request
from cais_registry.http.responses import Headers, Response
from cais_registry.http.router import ManifestPath
from cais_registry.model.digest import Digest
from cais_registry.model.errors import ManifestTooLarge
from cais_registry.model.names import Tag
from cais_registry.services.access import Action
from cais_registry.services.manifest_values import PutResult


async def handle(deps: Deps, request: Request, caller: Caller, path: ManifestPath) -> Response:
    """Answer HEAD, GET, PUT and DELETE of a manifest."""
    match request.method:
        case "HEAD" | "GET":
            return await _get(deps, request, caller, path)
        case "PUT":
            return await _put(deps, request, caller, path)
        case _:
            return await _delete(deps, path)


async def _get(deps: Deps, request: Request, caller: Caller, path: ManifestPath) -> Response:
    """Whatever `Accept` says, the bytes are those that were pushed: a client knows its digest."""
    manifests, promise = deps.core.manifests, caller.may(Action.CREATE, path.repo)
    if request.method == "HEAD":
        info = await manifests.stat(path.repo, path.reference, promise=promise)
        kind, digest, size, content = info.media_type, info.digest, info.size, b""
    else:
        stored = await manifests.get(path.repo, path.reference, promise=promise)
        kind, digest, content = stored.media_type, stored.digest, stored.content
        size = len(content)
    deps.core.pulls.note(path.repo, digest)
    headers = _headers(kind, digest, is_fixed=isinstance(path.reference, Digest))
    if ranges.is_unchanged(request.headers, f'"{digest}"'):
        return Response(status=304, headers=headers)
    length = ("Content-Length", str(size))
    return Response(headers=(*headers, length), body=content, adds_length=False)


async def _put(deps: Deps, request: Request, caller: Caller, path: ManifestPath) -> Response:
    tags = _tags(deps, request)
    content = await _content(deps, request)
    result = await deps.core.manifests.put(
        path.repo,
        path.reference,
        content,
        request.headers.get("content-type"),
        tags=tags,
        creates_only=not caller.may(Action.PUSH, path.repo),
    )
    headers: Headers = (
        ("Location", f"/v2/{path.repo}/manifests/{result.digest}"),
        ("Docker-Content-Digest", str(result.digest)),
    )
    if result.subject is not None:
        headers += (("OCI-Subject", str(result.subject)),)
    if tags:
        headers += (("OCI-Tag", ", ".join(str(tag) for tag in tags)),)
    headers += warnings.headers(deps.notices())
    return Response(status=201, headers=headers, acts=_acts(path, result))


def _acts(path: ManifestPath, result: PutResult) -> tuple[Act, ...]:
    """The push, and each tag that is new or points elsewhere now."""
    digest = str(result.digest)
    tags = (
        Act(
            event="tag.create" if previous is None else "tag.move",
            reference=str(tag),
            digest=digest,
            previous_digest=previous,
        )
        for tag, previous in zip(result.tags, result.previous, strict=True)
        if previous != digest
    )
    return (Act(event="manifest.push", reference=str(path.reference), digest=digest), *tags)


async def _delete(deps: Deps, path: ManifestPath) -> Response:
    removed = await deps.core.manifests.delete(path.repo, path.reference)
    is_tag = isinstance(path.reference, Tag)
    done = Act(
        event="tag.delete" if is_tag else "manifest.delete",
        reference=str(path.reference),
        digest=removed.digest,
        tags=() if is_tag else removed.tags,
    )
    return Response(status=202, acts=(done,))


def _tags(deps: Deps, request: Request) -> list[Tag]:
    given = request.parameters("tag")
    if len(given) > deps.tags_per_push:
        most = deps.tags_per_push
        raise TooManyTags(
            f"one push sets at most {most} tags, not {len(given)}: push again for the rest"
        )
    return [Tag.parse(text) for text in given]


async def _content(deps: Deps, request: Request) -> bytes:
    limit, declared = deps.manifest_bytes, request.content_length
    if declared is not None and declared > limit:
        raise ManifestTooLarge(f"the manifest has {declared} bytes, at most {limit} are taken")
    return await request.body.read(limit=limit)


def _headers(kind: str, digest: Digest, *, is_fixed: bool) -> Headers:
    return (
        ("Content-Type", kind),
        ("Docker-Content-Digest", str(digest)),
        ("ETag", f'"{digest}"'),
        ("Cache-Control", IMMUTABLE if is_fixed else "no-cache"),
    )
