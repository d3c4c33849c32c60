# SPDX-License-Identifier: Apache-2.0
"""Paths, parsed once; below this there are no raw names.

A repository may be called `x/blobs/y` or `tags/list`: the last keyword of a path is the one that
counts, and it is looked for before anything is percent-decoded.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final, TypeAlias
from urllib.parse import unquote

from cais_registry.http.errors import MethodNotAllowed, NoSuchPage
from cais_registry.model.digest import Digest, UploadId
from cais_registry.model.names import RepoName, Tag

PROBES: Final = ("healthz", "readyz", "metrics")
_LONGEST_REMEMBERED: Final = 512
_KEYWORDS: Final = ("/blobs/", "/manifests/", "/tags/list", "/referrers/")


@dataclass(frozen=True, slots=True)
class Probe:
    """`/healthz`, `/readyz`, `/metrics`."""

    name: str


@dataclass(frozen=True, slots=True)
class TokenPath:
    """`/token`."""


@dataclass(frozen=True, slots=True)
class Ping:
    """`/v2/` (end-1)."""


@dataclass(frozen=True, slots=True)
class Catalog:
    """`/v2/_catalog`."""


@dataclass(frozen=True, slots=True)
class BlobPath:
    """`/v2/<name>/blobs/<digest>` (end-2, end-10)."""

    repo: RepoName
    digest: Digest


@dataclass(frozen=True, slots=True)
class UploadsPath:
    """`/v2/<name>/blobs/uploads/` (end-4, end-11)."""

    repo: RepoName


@dataclass(frozen=True, slots=True)
class UploadPath:
    """`/v2/<name>/blobs/uploads/<id>` (end-5, end-6, end-13, end-14)."""

    repo: RepoName
    upload: UploadId


@dataclass(frozen=True, slots=True)
class ManifestPath:
    """`/v2/<name>/manifests/<tag or digest>` (end-3, end-7, end-9)."""

    repo: RepoName
    reference: Tag | Digest


@dataclass(frozen=True, slots=True)
class TagsPath:
    """`/v2/<name>/tags/list` (end-8)."""

    repo: RepoName


@dataclass(frozen=True, slots=True)
class ReferrersPath:
    """`/v2/<name>/referrers/<digest>` (end-12)."""

    repo: RepoName
    subject: Digest


@dataclass(frozen=True, slots=True)
class AdminPath:
    """`/cais/v1/<noun>[/<id>[/<part>]]`."""

    noun: str
    item: str | None = None
    part: str | None = None

    @property
    def shape(self) -> str:
        """How it is written down in tables."""
        words = (self.noun, None if self.item is None else "<id>", self.part)
        return "/".join(word for word in words if word is not None)


Path: TypeAlias = (
    Probe
    | TokenPath
    | Ping
    | Catalog
    | BlobPath
    | UploadsPath
    | UploadPath
    | ManifestPath
    | TagsPath
    | ReferrersPath
    | AdminPath
)

_READ: Final = ("GET", "HEAD")
METHODS: Final[dict[type[Path], tuple[str, ...]]] = {
    Probe: _READ,
    TokenPath: (*_READ, "POST"),
    Ping: _READ,
    Catalog: _READ,
    BlobPath: (*_READ, "DELETE"),
    UploadsPath: ("POST",),
    UploadPath: ("GET", "PATCH", "PUT", "DELETE"),
    ManifestPath: (*_READ, "PUT", "DELETE"),
    TagsPath: _READ,
    ReferrersPath: _READ,
}
ADMIN: Final[dict[str, tuple[str, ...]]] = {
    "gc": (*_READ, "POST"),
    "gc/<id>": _READ,
    "gc/<id>/report": _READ,
    "fsck": (*_READ, "POST"),
    "usage": _READ,
    "config": _READ,
    "deleted": _READ,
    "undelete": ("POST",),
    "openapi.json": _READ,
}
"""Methods of everything below `/cais/v1/`, by `AdminPath.shape`."""


def parse(method: str, path: str) -> Path:
    """Read a path, and check that the method exists for it.

    Args:
        method: In capitals.
        path: As it was sent, percent-encoded, without the query.

    Raises:
        NoSuchPage: If it is none of ours.
        MethodNotAllowed: If the method does not exist for it.
        NameInvalid: If the repository's name is not one.
        DigestInvalid, TagInvalid, BlobUploadUnknown: For the last part of the path.
    """
    parsed = _parse_again(path) if len(path) <= _LONGEST_REMEMBERED else _parse(path)
    allowed = ADMIN[parsed.shape] if isinstance(parsed, AdminPath) else METHODS[type(parsed)]
    if method not in allowed:
        raise MethodNotAllowed(method, allowed)
    return parsed


@lru_cache(maxsize=1024)
def _parse_again(path: str) -> Path:
    """The same few paths come again and again."""
    return _parse(path)


def _parse(path: str) -> Path:
    if path in ("/v2/", "/v2"):
        return Ping()
    if path in ("/v2/_catalog", "/v2/_catalog/"):
        return Catalog()
    if path.startswith("/v2/"):
        return _in_repository(path.removeprefix("/v2"))
    if path.startswith("/cais/v1/"):
        return _admin(path.removeprefix("/cais/v1/"))
    if path == "/token":
        return TokenPath()
    if path[1:] in PROBES:
        return Probe(path[1:])
    raise NoSuchPage("there is nothing here; a registry's paths begin with /v2/")


def _in_repository(rest: str) -> Path:
    position, keyword = max((rest.rfind(word), word) for word in _KEYWORDS)
    if position < 1:
        raise NoSuchPage(
            "there is nothing here; after /v2/<name> come /blobs/, /manifests/, /tags/list or "
            "/referrers/"
        )
    raw_name, raw_tail = rest[1:position], rest[position + len(keyword) :]
    repo, tail = RepoName.parse(unquote(raw_name)), unquote(raw_tail)
    match keyword:
        case "/blobs/":
            return _blob_or_upload(repo, tail)
        case "/manifests/":
            return ManifestPath(repo, Digest.parse(tail) if ":" in tail else Tag.parse(tail))
        case "/referrers/":
            return ReferrersPath(repo, Digest.parse(tail))
        case _ if tail in ("", "/"):
            return TagsPath(repo)
        case _:
            raise NoSuchPage("there is nothing below /tags/list")


def _blob_or_upload(repo: RepoName, tail: str) -> Path:
    if tail in ("uploads", "uploads/"):
        return UploadsPath(repo)
    if tail.startswith("uploads/"):
        return UploadPath(repo, UploadId.parse(tail.removeprefix("uploads/")))
    return BlobPath(repo, Digest.parse(tail))


def _admin(rest: str) -> AdminPath:
    noun, *more = rest.split("/")
    path = AdminPath(noun, *more[:2])
    if len(more) > 2 or "" in more or path.shape not in ADMIN:  # noqa: PLR2004 - its fields
        raise NoSuchPage(f"there is nothing here; /cais/v1/ has {', '.join(ADMIN)}")
    return path
