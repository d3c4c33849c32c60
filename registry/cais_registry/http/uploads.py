# SPDX-License-Identifier: Apache-2.0
"""Uploads of blobs (distribution-spec end-4, end-5, end-6, end-11, end-13, end-14).

Locations are relative and carry the upload's name only: how far it is, is known by the server.
"""

from __future__ import annotations

from cais_registry.http import errors, ranges
from cais_registry.http.acts import Act
from cais_registry.http.deps import Deps
from cais_registry.http.gate import Caller
from cais_registry.http.requests import Request
from cais_registry.http.responses import Headers, Response
from cais_registry.http.router import UploadPath, UploadsPath
from cais_registry.model.digest import Digest
from cais_registry.model.errors import (
    DigestInvalid,
    NameInvalid,
    RangeInvalid,
    SizeInvalid,
    UploadBusy,
)
from cais_registry.model.names import RepoName
from cais_registry.services.access import Action
from cais_registry.services.uploads import Chunk, UploadRef, UploadStatus


async def begin(deps: Deps, request: Request, caller: Caller, path: UploadsPath) -> Response:
    """Answer POST: mount a blob, take a whole one, or begin an upload."""
    uploads, repo = deps.core.uploads, path.repo
    mount, digest = request.parameter("mount"), request.parameter("digest")
    if mount is not None and await _mount(deps, request, caller, repo, mount):
        source = request.parameter("from") or None  # a name, or nothing would have been mounted
        return created(repo, Digest.parse(mount), event="blob.mount", source=source)
    if digest is not None and mount is None:
        parsed = Digest.parse(digest)
        chunk = Chunk(body=aiter(request.body), length=request.content_length)
        await uploads.push(repo, caller.user, parsed, chunk)
        return created(repo, parsed)
    algorithm = request.parameter("digest-algorithm") or "sha256"
    status = await uploads.start(repo, caller.user, algorithm=algorithm)
    return Response(status=202, headers=progress(repo, status))


async def go_on(deps: Deps, request: Request, caller: Caller, path: UploadPath) -> Response:
    """Answer GET, PATCH, PUT and DELETE of an upload that is going on."""
    ref = UploadRef(repo=path.repo, principal=caller.user, id=path.upload)
    try:
        return await _go_on(deps, request, ref)
    except (RangeInvalid, UploadBusy) as error:
        # a client that is told where the upload ends can resume there
        status = UploadStatus(id=path.upload, size=error.offset)
        return errors.respond(error).with_headers(*progress(path.repo, status))


async def _go_on(deps: Deps, request: Request, ref: UploadRef) -> Response:
    uploads = deps.core.uploads
    match request.method:
        case "GET":
            status = await uploads.status(ref)
            return Response(status=204, headers=progress(ref.repo, status))
        case "PATCH":
            status = await uploads.append(ref, _chunk(request))
            return Response(status=202, headers=progress(ref.repo, status))
        case "PUT":
            return await _finish(deps, request, ref)
        case _:
            await uploads.cancel(ref)
            return Response(status=204)


def progress(repo: RepoName, status: UploadStatus) -> Headers:
    """The headers that tell a client where to go on."""
    return (
        ("Location", f"/v2/{repo}/blobs/uploads/{status.id}"),
        ("Range", f"0-{max(status.size - 1, 0)}"),
        ("Docker-Upload-UUID", str(status.id)),
    )


def created(
    repo: RepoName, digest: Digest, *, event: str = "blob.push", source: str | None = None
) -> Response:
    """The answer to a blob that is now the repository's, from `source` if it was mounted."""
    return Response(
        status=201,
        headers=(
            ("Location", f"/v2/{repo}/blobs/{digest}"),
            ("Docker-Content-Digest", str(digest)),
        ),
        acts=(Act(event=event, digest=str(digest), source=source),),
    )


async def _mount(deps: Deps, request: Request, caller: Caller, repo: RepoName, mount: str) -> bool:
    origin = request.parameter("from")
    try:
        source = RepoName.parse(origin) if origin else None
    except NameInvalid:
        return False  # a client that cannot mount sends the bytes (end-11)
    if source is not None:
        caller.check_granted(Action.PULL, source)
    return await deps.core.blobs.mount(
        repo, Digest.parse(mount), source=source, readable=caller.readable()
    )


async def _finish(deps: Deps, request: Request, ref: UploadRef) -> Response:
    text = request.parameter("digest")
    if text is None:
        raise DigestInvalid("the digest is missing: end an upload with ?digest=sha256:...")
    digest = Digest.parse(text)
    is_empty = request.body.is_finished and "content-range" not in request.headers
    await deps.core.uploads.finish(ref, digest, None if is_empty else _chunk(request))
    return created(ref.repo, digest)


def _chunk(request: Request) -> Chunk:
    """The body, where it begins and how long it is, as far as the client says."""
    span, declared = ranges.chunk(request.headers), request.content_length
    start, length = span or (None, declared)
    if declared is not None and declared != length:
        raise SizeInvalid(
            f"Content-Range is {length} bytes long, but Content-Length says {declared}: "
            "leave one out, or send both alike"
        )
    return Chunk(body=aiter(request.body), start=start, length=length)
