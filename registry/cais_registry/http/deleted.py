# SPDX-License-Identifier: Apache-2.0
"""The part of the admin API that shows what was deleted and brings it back."""

from __future__ import annotations

from typing import Annotated, Final, TypeAlias

from msgspec import Meta

from cais_registry.http.acts import Act
from cais_registry.http.admin_views import Time, View, Wish, time_text
from cais_registry.http.deps import Deps
from cais_registry.http.json_body import read_json
from cais_registry.http.listings import asked_page, next_page
from cais_registry.http.requests import Request
from cais_registry.http.responses import Response, to_json
from cais_registry.http.router import AdminPath
from cais_registry.model.deleted import Deleted
from cais_registry.model.digest import DIGEST, Digest
from cais_registry.model.names import MAX_REPO_NAME, REPO_NAME, TAG, RepoName, Tag

_LIKE: Final = '{"repository": "team/app", "reference": "v1"}, or a digest as reference'
REPOSITORY: Final = {
    "type": "string",
    "pattern": f"^{REPO_NAME}$",
    "maxLength": MAX_REPO_NAME,
    "examples": ["team/app"],
}
"""JSON Schema of a repository's name."""

Repository: TypeAlias = Annotated[str, Meta(extra_json_schema=REPOSITORY)]
_Reference: TypeAlias = Annotated[
    str, Meta(extra_json_schema={"pattern": f"^(?:{TAG}|{DIGEST})$", "examples": ["v1"]})
]


class What(Wish, frozen=True):
    """What should come back: a tag, or by its digest a manifest."""

    repository: Repository
    reference: _Reference


class DeletedView(View, frozen=True):
    """Something that was deleted."""

    reference: str
    digest: str
    deleted_at: Time
    reason: str


class Page(View, frozen=True):
    """Things that were deleted from a repository."""

    repository: str
    deleted: tuple[DeletedView, ...]


class RestoredView(View, frozen=True):
    """What came back; `tagsTaken` point at something else by now."""

    repository: str
    digest: str
    tags: tuple[str, ...]
    tags_taken: tuple[str, ...]
    manifests: Annotated[int, Meta(ge=0)]


async def show(deps: Deps, request: Request, _: AdminPath) -> Response:
    """Answer `GET /cais/v1/deleted?repository=...`: what can come back, in pages."""
    repo = RepoName.parse(request.parameter("repository") or "")
    limit, last = asked_page(request)
    found = await deps.core.undelete.list(repo, limit=limit, last=last)
    page = Page(repository=str(repo), deleted=tuple(_describe(one) for one in found.items))
    return to_json(page, headers=next_page(request, found.last, n=limit))


async def bring_back(deps: Deps, request: Request, _: AdminPath) -> Response:
    """Answer `POST /cais/v1/undelete`."""
    what = await read_json(request, What, like=_LIKE)
    repo, text = RepoName.parse(what.repository), what.reference
    reference = Digest.parse(text) if ":" in text else Tag.parse(text)
    restored = await deps.core.undelete.bring_back(repo, reference)
    view = RestoredView(
        repository=str(repo),
        digest=str(restored.digest),
        tags=restored.tags,
        tags_taken=restored.taken,
        manifests=restored.manifests,
    )
    done = Act(
        event="admin.undelete",
        repository=view.repository,
        reference=str(reference),
        digest=view.digest,
        tags=restored.tags,
    )
    return to_json(view).telling(done)


def _describe(one: Deleted) -> DeletedView:
    return DeletedView(
        reference=one.reference,
        digest=one.digest,
        deleted_at=time_text(one.deleted_at),
        reason=one.reason,
    )
