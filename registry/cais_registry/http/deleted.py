# SPDX-License-Identifier: Apache-2.0
"""The part of the admin API that shows what was deleted and brings it back."""

from __future__ import annotations

from datetime import UTC
from typing import Any, Final

import msgspec

from cais_registry.http.acts import Act
from cais_registry.http.deps import Deps
from cais_registry.http.json_body import read_json
from cais_registry.http.listings import asked_page, next_page
from cais_registry.http.requests import Request
from cais_registry.http.responses import Response, to_json
from cais_registry.model.deleted import Deleted
from cais_registry.model.digest import Digest
from cais_registry.model.names import RepoName, Tag

_LIKE: Final = '{"repository": "team/app", "reference": "v1"}, or a digest as reference'


class _What(msgspec.Struct, forbid_unknown_fields=True):
    repository: str
    reference: str


async def show(deps: Deps, request: Request) -> Response:
    """Answer `GET /cais/v1/deleted?repository=...`: what can come back, in pages."""
    repo = RepoName.parse(request.parameter("repository") or "")
    limit, last = asked_page(request)
    found = await deps.core.undelete.list(repo, limit=limit, last=last)
    return to_json(
        {"repository": str(repo), "deleted": [_describe(one) for one in found.items]},
        headers=next_page(request, found.last, n=limit),
    )


async def bring_back(deps: Deps, request: Request) -> Response:
    """Answer `POST /cais/v1/undelete`."""
    what = await read_json(request, _What, like=_LIKE)
    repo, text = RepoName.parse(what.repository), what.reference
    reference = Digest.parse(text) if ":" in text else Tag.parse(text)
    restored = await deps.core.undelete.bring_back(repo, reference)
    done = Act(
        event="admin.undelete",
        repository=str(repo),
        reference=str(reference),
        digest=str(restored.digest),
        tags=restored.tags,
    )
    answer = to_json(
        {
            "repository": str(repo),
            "digest": str(restored.digest),
            "tags": list(restored.tags),
            "tagsTaken": list(restored.taken),
            "manifests": restored.manifests,
        }
    )
    return answer.telling(done)


def _describe(one: Deleted) -> dict[str, Any]:
    return {
        "reference": one.reference,
        "digest": one.digest,
        "deletedAt": one.deleted_at.astimezone(UTC).isoformat(timespec="seconds"),
        "reason": one.reason,
    }
