# SPDX-License-Identifier: Apache-2.0
"""Tags, repositories and referrers, in pages (distribution-spec end-8, end-12)."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlencode

from cais_registry.http.deps import Deps
from cais_registry.http.gate import Caller
from cais_registry.http.requests import Request
from cais_registry.http.responses import Headers, Response, to_json
from cais_registry.http.router import ReferrersPath, TagsPath
from cais_registry.model.errors import PaginationInvalid
from cais_registry.services.access import Action
from cais_registry.services.listings import Referrer

MOST_ITEMS: Final = 1000
"""On one page, whatever is asked for."""

_REFERRERS_ON_A_PAGE: Final = 200  # a page stays below the 4 MiB that clients read of a manifest
_INDEX: Final = "application/vnd.oci.image.index.v1+json"


async def tags(deps: Deps, request: Request, path: TagsPath) -> Response:
    """Answer `/v2/<name>/tags/list`."""
    limit, last = asked_page(request)
    page = await deps.core.tags.list(path.repo, limit=limit, last=last)
    link = next_page(request, page.last, n=limit)
    return to_json({"name": str(path.repo), "tags": list(page.items)}, headers=link)


async def catalog(deps: Deps, request: Request, caller: Caller) -> Response:
    """Answer `/v2/_catalog`: what the caller may pull from, and nothing else."""
    limit, last = asked_page(request)
    page = await deps.core.catalog.list(limit=limit, last=last, scope=caller.scope(Action.PULL))
    link = next_page(request, page.last, n=limit)
    return to_json({"repositories": list(page.items)}, headers=link)


async def referrers(deps: Deps, request: Request, path: ReferrersPath) -> Response:
    """Answer `/v2/<name>/referrers/<digest>`: always an index, maybe an empty one."""
    # no type has a space in it: one stands for a plus that was not escaped
    kind = (request.parameter("artifactType") or "").replace(" ", "+") or None
    page = await deps.core.referrers.list(
        path.repo,
        path.subject,
        artifact_type=kind,
        limit=_REFERRERS_ON_A_PAGE,
        last=request.parameter("last"),
    )
    headers: Headers = (("Content-Type", _INDEX), *next_page(request, page.last))
    if kind is not None:
        headers += (("OCI-Filters-Applied", "artifactType"),)
    manifests = [_descriptor(referrer) for referrer in page.items]
    index = {"schemaVersion": 2, "mediaType": _INDEX, "manifests": manifests}
    return to_json(index, headers=headers)


def _descriptor(referrer: Referrer) -> dict[str, Any]:
    descriptor: dict[str, Any] = {
        "mediaType": referrer.media_type,
        "digest": str(referrer.digest),
        "size": referrer.size,
    }
    if referrer.artifact_type:
        descriptor["artifactType"] = referrer.artifact_type
    if referrer.annotations:
        descriptor["annotations"] = dict(referrer.annotations)
    return descriptor


def asked_page(request: Request) -> tuple[int, str | None]:
    """Read `n` and `last`.

    Raises:
        PaginationInvalid: If `n` is not a number.
    """
    text, last = request.parameter("n"), request.parameter("last")
    if text is None:
        return MOST_ITEMS, last
    if not text.isascii() or not text.isdigit():
        raise PaginationInvalid(f"n={text[:20]!r} is not a number of items, like 100")
    return min(int(text[:9]), MOST_ITEMS), last


def next_page(request: Request, last: str | None, *, n: int | None = None) -> Headers:
    """Point to the next page (RFC 8288), keeping what else was asked for."""
    if last is None:
        return ()
    kept = [(key, value) for key, value in request.query or () if key not in ("n", "last")]
    size = [] if n is None else [("n", str(n))]
    return (("Link", f'<{request.path}?{urlencode([*kept, *size, ("last", last)])}>; rel="next"'),)
