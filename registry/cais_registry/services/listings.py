# SPDX-License-Identifier: Apache-2.0
"""Listings, in pages: a page costs the same wherever in the listing it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from cais_registry.model.digest import Digest
from cais_registry.model.names import RepoName
from cais_registry.model.page import Page


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

    async def list(self, repo: RepoName, *, limit: int, last: str | None = None) -> Page[str]:
        """List tags in ASCII order (end-8).

        Args:
            repo: The repository.
            limit: Most items on the page; 0 gives an empty final page.
            last: Only tags after this text, which need not be a tag that exists.

        Raises:
            NameUnknown: If the repository holds nothing.
        """
        raise NotImplementedError


class Catalog:
    """The repositories."""

    async def list(
        self, *, limit: int, last: str | None = None, readable: Callable[[RepoName], bool]
    ) -> Page[str]:
        """List the names of repositories that hold a manifest, in ASCII order.

        Args:
            limit: Most items on the page; 0 gives an empty final page.
            last: Only names after this text.
            readable: Which repositories the caller may see; pages are filled after asking it.
        """
        raise NotImplementedError


class Referrers:
    """The manifests whose `subject` is a given one."""

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

        Args:
            repo: The repository; an unknown one gives an empty page.
            subject: What they refer to.
            artifact_type: Only those of this type; filtered before the page is cut.
            limit: Most items on the page.
            last: Only digests after this text.
        """
        raise NotImplementedError
