# SPDX-License-Identifier: Apache-2.0
"""The audit log: one line for each act that changed something, and for each that was refused.

What a client chose gets in as parsed (names, tags, digests), or where it has the form of a request
id; a name that nobody has is left out, as people type passwords there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

import msgspec

from cais_registry.http import router
from cais_registry.http.acts import Act
from cais_registry.http.requests import Request
from cais_registry.http.responses import Response
from cais_registry.http.sinks import Sink
from cais_registry.model.names import RepoName, Tag

LOGGER: Final = "cais.audit"
MOST_TAGS: Final = 100
"""In one line."""

_MOST_TEXT: Final = 256
_READ: Final = ("GET", "HEAD")
_REFUSED: Final = (401, 403)
_ERRORS, _FAULTS = 400, 500
_UNAUTHORIZED: Final = 401
_REQUEST_ID = re.compile(r"[A-Za-z0-9._=-]{1,128}")


class Asked(msgspec.Struct, kw_only=True):  # made for every request: the cheapest
    """What is known of who asks for what, as far as a request came.

    Attributes:
        path: Where, None if it could not be parsed.
        user: The verified name, None for someone anonymous.
        is_identified: False until it is known who asks: a request that ends there failed to log in.
        claimed: User whose password was not given, if there is such a one.
    """

    path: router.Path | None = None
    user: str | None = None
    claimed: str | None = None
    is_identified: bool = False


class AuditLog:
    """Writes lines with the fields that docs/configuration.md names."""

    def __init__(self, sink: Sink, *, pulls: bool) -> None:
        """Prepare.

        Args:
            sink: Where lines go.
            pulls: Whether pulls are acts that are told.
        """
        self._sink = sink
        self._pulls = pulls

    def write(self, request: Request, asked: Asked, response: Response) -> None:
        """Tell what a request did, or what it was refused.

        Args:
            request: The request.
            asked: By whom, and for what.
            response: The answer that is about to be sent.
        """
        if response.acts:
            self._tell(request, asked, response, response.acts)
        elif response.status >= _ERRORS:
            self._tell(request, asked, response, _refused(request, asked, response.status))
        elif self._pulls and request.method == "GET":
            self._tell(request, asked, response, _pulled(asked, response))

    def _tell(
        self, request: Request, asked: Asked, response: Response, acts: Iterable[Act]
    ) -> None:
        for act in acts:
            fields = _fields(request, asked, response.status, act)
            what = act.reference or act.digest
            words = (act.event, fields.get("repository"), what, fields["outcome"])
            self._sink(" ".join(str(word) for word in words if word), fields)


def _refused(request: Request, asked: Asked, status: int) -> list[Act]:
    """What did not come to pass.

    Someone who reads without credentials is only asked for them: clients begin like that.
    """
    is_change = request.method not in _READ
    if asked.path is None or not (status in _REFUSED or (status >= _FAULTS and is_change)):
        return []
    if not asked.is_identified and status in _REFUSED:
        return [Act(event="login")]
    if status == _UNAUTHORIZED and not is_change:
        return []
    return [_attempt(request.method, asked.path)]


def _pulled(asked: Asked, response: Response) -> list[Act]:
    path = asked.path
    if not isinstance(path, router.ManifestPath | router.BlobPath):
        return []
    digest = dict(response.headers).get("Docker-Content-Digest")
    return [msgspec.structs.replace(_attempt("GET", path), digest=digest)]


def _attempt(method: str, path: router.Path) -> Act:
    verb = {"PUT": "push", "DELETE": "delete"}.get(method, "pull")
    match path:
        case router.ManifestPath(reference=Tag() as tag):
            kind = "tag" if verb == "delete" else "manifest"
            return Act(event=f"{kind}.{verb}", reference=str(tag))
        case router.ManifestPath(reference=digest):
            return Act(event=f"manifest.{verb}", reference=str(digest), digest=str(digest))
        case router.BlobPath(digest=digest):
            return Act(event=f"blob.{verb}", digest=str(digest))
        case router.UploadsPath() | router.UploadPath():
            return Act(event="blob.push")
        case router.AdminPath(noun=noun):
            return Act(event=f"admin.{noun}")
        case _:
            return Act(event="login" if isinstance(path, router.TokenPath) else "list")


def _fields(request: Request, asked: Asked, status: int, act: Act) -> dict[str, object]:
    """What applies, in this order; the rest is left out."""
    outcome = "success"
    if status >= _ERRORS:
        outcome = "failed" if status >= _FAULTS else "refused"
    repo: RepoName | None = getattr(asked.path, "repo", None)
    identifier = request.headers.get("x-request-id", "")
    found: dict[str, object] = {
        "event": act.event,
        "outcome": outcome,
        "status": status,
        "user": (asked.user or asked.claimed or "")[:_MOST_TEXT] or None,
        "client": request.client[:_MOST_TEXT],
        "repository": act.repository if repo is None else repo.value,
        "reference": act.reference,
        "digest": act.digest,
        "previous_digest": act.previous_digest,
        "source": act.source,
        "tags": act.tags[:MOST_TAGS] or None,
        "options": act.options,
        "request_id": identifier if _REQUEST_ID.fullmatch(identifier) else None,
    }
    return {name: value for name, value in found.items() if value is not None}
