# SPDX-License-Identifier: Apache-2.0
"""What a 401 asks for: a password (RFC 7617), or a token (RFC 6750, and Docker's protocol)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from cais_registry.http import router
from cais_registry.http.errors import InsufficientScope, InvalidToken
from cais_registry.http.grants import CATALOG
from cais_registry.http.requests import Request
from cais_registry.http.responses import Headers
from cais_registry.http.tokens import Terms
from cais_registry.model.errors import NameInvalid, Unauthorized
from cais_registry.model.names import RepoName

_WORDS: Final = {"GET": "pull", "HEAD": "pull", "DELETE": "delete"}
_ERRORS: Final[dict[type[Unauthorized], str]] = {
    InvalidToken: "invalid_token",
    InsufficientScope: "insufficient_scope",
}


def basic(realm: str) -> Headers:
    """Ask for a password."""
    return (("WWW-Authenticate", f'Basic realm="{realm}", charset="UTF-8"'),)


def bearer(
    terms: Terms, request: Request, path: router.Path | None, error: Unauthorized
) -> Headers | None:
    """Ask for a token that is good for a request; None where no token would do.

    The endpoint is told by configuration alone: a client under a name that is not listed is asked
    for its password, as it may not be able to reach the endpoint, or may be lured to another one.

    Args:
        terms: How tokens are given out.
        request: The request.
        path: What it is about, as far as that is known.
        error: Why it is refused.
    """
    realm = terms.realms.get(request.headers.get("host", ""))
    if realm is None or isinstance(path, router.TokenPath | router.AdminPath):
        return None
    fields = [("realm", realm), ("service", terms.service)]
    scopes = _scopes(request, path)
    if scopes:
        fields.append(("scope", " ".join(scopes)))
    if type(error) in _ERRORS:
        fields.append(("error", _ERRORS[type(error)]))
    words = ",".join(f'{name}="{value}"' for name, value in fields)
    return (("WWW-Authenticate", f"Bearer {words}"),)


def _scopes(request: Request, path: router.Path | None) -> Sequence[str]:
    """What a token has to be good for, in the words of the protocol."""
    match path:
        case router.Catalog():
            return [CATALOG]
        case router.UploadsPath(repo=repo):
            return [f"repository:{repo}:pull,push", *_source(request)]
        case router.UploadPath(repo=repo):
            return [f"repository:{repo}:pull,push"]
        case (
            router.BlobPath(repo=repo)
            | router.ManifestPath(repo=repo)
            | router.TagsPath(repo=repo)
            | router.ReferrersPath(repo=repo)
        ):
            return [f"repository:{repo}:{_WORDS.get(request.method, 'pull,push')}"]
        case _:
            return []


def _source(request: Request) -> Sequence[str]:
    """A mount reads from the repository that it names."""
    try:
        return [f"repository:{RepoName.parse(request.parameter('from') or '')}:pull"]
    except NameInvalid:
        return []
