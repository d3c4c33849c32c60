# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cais_registry.model.digest import Digest
from cais_registry.model.names import RepoName, Tag


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredManifest:
    """A manifest exactly as it was pushed.

    Attributes:
        digest: Its content address.
        media_type: What it was pushed as.
        content: The bytes.
    """

    digest: Digest
    media_type: str
    content: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestInfo:
    """A manifest without its bytes.

    Attributes:
        digest: Its content address.
        media_type: What it was pushed as.
        size: In bytes.
    """

    digest: Digest
    media_type: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PutResult:
    """What a push of a manifest did.

    Attributes:
        digest: The manifest's content address.
        subject: The manifest it refers to, if any (`OCI-Subject`).
        tags: The tags that point to it because of this push.
    """

    digest: Digest
    subject: Digest | None
    tags: tuple[Tag, ...]


class Manifests:
    """Manifests of a repository, by tag or by digest."""

    async def put(
        self,
        repo: RepoName,
        reference: Tag | Digest,
        content: bytes,
        content_type: str | None,
        *,
        tags: Sequence[Tag] = (),
    ) -> PutResult:
        """Store a manifest and point tags at it (end-7a, end-7b).

        When it returns, the manifest survives a power loss.

        Args:
            repo: The repository.
            reference: A tag, or the digest that the client has computed.
            content: The bytes, kept as they are.
            content_type: The type it is sent as, None when the client names none.
            tags: More tags to point at it, whoever calls has authorised each.

        Raises:
            DigestInvalid: If `reference` is a digest, and not that of `content`.
            ManifestTooLarge: If there are more bytes than the limit.
            ManifestInvalid: If the content is not a manifest, or an ambiguous one.
            ManifestBlobUnknown: If the repository lacks what it refers to; detail lists it.
            StorageFull: If the disk is full.
        """
        raise NotImplementedError

    async def get(
        self, repo: RepoName, reference: Tag | Digest, *, promise: bool = False
    ) -> StoredManifest:
        """Read a manifest (end-3).

        Args:
            repo: The repository.
            reference: A tag or a digest.
            promise: True when the caller may push: "it exists" then holds for `push_lease`.

        Raises:
            ManifestUnknown: If the repository does not have it.
        """
        raise NotImplementedError

    async def stat(
        self, repo: RepoName, reference: Tag | Digest, *, promise: bool = False
    ) -> ManifestInfo:
        """Tell what `get` would return without reading the bytes (end-3, HEAD).

        Raises:
            ManifestUnknown: If the repository does not have it.
        """
        raise NotImplementedError

    async def delete(self, repo: RepoName, reference: Tag | Digest) -> None:
        """Delete a tag (only the tag), or by digest a manifest with all its tags (end-9).

        What was deleted is unknown at once and can come back for `undelete_window`.

        Raises:
            ManifestUnknown: If the repository does not have it.
            Unsupported: By digest, while an index of the repository refers to the manifest.
        """
        raise NotImplementedError
