# SPDX-License-Identifier: Apache-2.0
"""Listings, in pages: a page costs the same wherever in the listing it is."""

from __future__ import annotations

import builtins
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from cais_registry.model.digest import Digest
from cais_registry.model.errors import NameUnknown
from cais_registry.model.names import RepoName
from cais_registry.model.page import Page
from cais_registry.services.scopes import BEFORE, Scope
from cais_registry.stores.connection import Connection
from cais_registry.stores.database import Database
from cais_registry.stores.listing_rows import (
    ReferrerRow,
    referrers_after,
    repos_between,
    tags_after,
)
from cais_registry.stores.repo_rows import find_repo

_MAX_PAGE_BYTES: Final = 3 * 1024 * 1024
"""Clients read 4 MiB of a listing of referrers at most."""

_BATCH: Final = 2000
"""Names that are looked at before other long readings get their turn."""

_STEP: Final = 500
"""Names that are read at once where each has to be asked about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Referrer:
    """The descriptor of a manifest that refers to another.

    Attributes:
        media_type: Of the manifest.
        digest: Of the manifest.
        size: Of the manifest, in bytes.
        artifact_type: Its `artifactType`, else an image's config type, else None.
        annotations: Copied from the manifest.
    """

    media_type: str
    digest: Digest
    size: int
    artifact_type: str | None = None
    annotations: Mapping[str, str] = field(default_factory=dict)


class Tags:
    """The tags of a repository."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list(self, repo: RepoName, *, limit: int, last: str | None = None) -> Page[str]:
        """List tags in ASCII order (end-8).

        Args:
            repo: The repository.
            limit: Most items on the page; 0 gives an empty final page.
            last: Only tags after this text, which need not be a tag that exists.

        Raises:
            NameUnknown: If the repository holds nothing.
        """

        def work(connection: Connection) -> builtins.list[str]:
            repo_id = find_repo(connection, repo)
            if repo_id is None:
                raise NameUnknown(
                    f"there is no repository {repo}: it is made by pushing to it",
                    detail={"name": repo.value},
                )
            return tags_after(connection, repo_id, last or "", limit + 1)

        return _page(await self._database.read(work), limit)


class Catalog:
    """The repositories."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list(self, *, limit: int, last: str | None = None, scope: Scope) -> Page[str]:
        """List the names of repositories that hold a manifest, in ASCII order.

        What lies outside of the ranges of `scope` costs nothing. Names that have to be asked about
        one by one are looked at in batches, so that no other long reading waits for all of them.

        Args:
            limit: Most items on the page; 0 gives an empty final page.
            last: Only names after this text.
            scope: Which repositories the caller may see; pages are filled after asking it.
        """
        names: builtins.list[str] = []
        after: str | None = last or ""
        while after is not None and len(names) <= limit:
            look = partial(_look, scope, after, limit + 1 - len(names))
            found, after = await self._database.read_slowly(look)
            names += found
        return _page(names, limit)


def _look(
    scope: Scope, after: str, wanted: int, connection: Connection
) -> tuple[list[str], str | None]:
    """Some names to show, and the last one that was looked at; None at the end."""
    names: list[str] = []
    looked = 0
    for part in scope.ranges:
        if part.high <= after:
            continue
        step = wanted - len(names) if part.is_whole else _STEP
        for name in _from(connection, max(part.low, after + BEFORE), part.high, step):
            looked += 1
            if part.is_whole or scope.allows(RepoName(name)):
                names.append(name)
            if len(names) >= wanted or looked >= _BATCH:
                return names, name
    return names, None


def _from(connection: Connection, low: str, high: str, step: int) -> Iterator[str]:
    """All repositories of a range; so many are read at once."""
    while found := repos_between(connection, low, high, step):
        yield from found
        if len(found) < step:
            return
        low = found[-1] + BEFORE


class Referrers:
    """The manifests whose `subject` is a given one."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list(
        self,
        repo: RepoName,
        subject: Digest,
        *,
        artifact_type: str | None = None,
        limit: int,
        last: str | None = None,
    ) -> Page[Referrer]:
        """List referrers in the order of their digests (end-12); unknown subjects have none.

        What a client has listed under the subject's tag counts too: it saw no such listing.

        Args:
            repo: The repository; an unknown one gives an empty page.
            subject: What they refer to.
            artifact_type: Only those of this type; filtered before the page is cut.
            limit: Most items on the page; a page is also cut before it gets too large.
            last: Only digests after this text.
        """

        def work(connection: Connection) -> tuple[builtins.list[ReferrerRow], bool]:
            repo_id = find_repo(connection, repo)
            if repo_id is None:
                return [], False
            rows = referrers_after(connection, repo_id, subject, artifact_type, last or "")
            return _cut(rows, limit)

        rows, more = await self._database.read_slowly(work)  # the filter may pass over many
        items = tuple(_referrer(row) for row in rows)
        return Page(items=items, last=str(items[-1].digest) if items and more else None)


def _page(found: Sequence[str], limit: int) -> Page[str]:
    """Make a page of one item more than it may hold, which says whether there is a next one."""
    items = tuple(found[:limit])
    return Page(items=items, last=items[-1] if items and len(found) > limit else None)


def _cut(rows: Iterator[ReferrerRow], limit: int) -> tuple[list[ReferrerRow], bool]:
    """Take rows until the page is full or large; tell whether some are left."""
    taken: list[ReferrerRow] = []
    size = 0
    for row in rows:
        size += len(row.annotations) + 512
        if len(taken) >= limit or (taken and size > _MAX_PAGE_BYTES):
            return taken, True
        taken.append(row)
    return taken, False


def _referrer(row: ReferrerRow) -> Referrer:
    return Referrer(
        media_type=row.media_type,
        digest=Digest.parse(row.digest),
        size=row.size,
        artifact_type=row.artifact_type,
        annotations=json.loads(row.annotations),
    )
