# SPDX-License-Identifier: Apache-2.0
"""Where images are imported from: a folder, or a registry that runs."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from cais_registry.model.digest import Digest
from cais_registry.model.manifest import said_type
from cais_registry.model.names import RepoName, Tag


class SourceRefused(Exception):  # noqa: N818 - reads as the condition it is
    """One thing cannot be had; the message says why. The rest may be fine."""


class SourceMissing(SourceRefused):
    """The source does not have it."""


class SourceLost(Exception):  # noqa: N818 - reads as the condition it is
    """The source does not answer any more, or must not be asked further."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRepo:
    """What one repository holds.

    Attributes:
        name: As the source has it; perhaps one that the specification does not allow.
        manifests: Digests of manifests to begin with; what they refer to is found from there.
        tags: What each tag points to.
        broken: What cannot be read, in words.
    """

    name: str
    manifests: tuple[Digest, ...]
    tags: dict[Tag, Digest]
    broken: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceManifest:
    """A manifest; nobody has checked its digest yet.

    Attributes:
        content: The bytes.
        media_type: What the source says it is, None if it does not.
    """

    content: bytes
    media_type: str | None

    def typed(self) -> SourceManifest:
        """The same with the media type that its content says, if the source says none."""
        return replace(self, media_type=self.media_type or said_type(self.content))


def _nothing_is_open() -> None:
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceBlob:
    """A blob; nobody has checked its digest yet.

    Attributes:
        size: In bytes, None if the source does not say.
        pieces: The bytes, once. It raises `SourceRefused` or `SourceLost` where they end too soon.
        path: The file that they are in, which may be linked to; None if there is none.
        close: Lets go of what is open before the first piece is asked for: a generator that was
            never begun has no end either.
    """

    size: int | None
    pieces: AsyncGenerator[bytes, None]
    path: Path | None = None
    close: Callable[[], None] = _nothing_is_open


class Source(Protocol):
    """Asked by the importer. All that is told is checked there, or does not matter.

    Every method may raise `SourceRefused` and `SourceLost`.

    Attributes:
        at_once: How much may be asked for at the same time.
    """

    @property
    def at_once(self) -> int:
        """How much may be asked for at the same time."""

    def repositories(self) -> AsyncGenerator[SourceRepo, None]:
        """All repositories, one after the other."""

    async def manifest(self, repo: RepoName, digest: Digest) -> SourceManifest | None:
        """Read a manifest; None if the repository has none of this digest.

        Raises:
            SourceMissing: If it should have it, and does not.
        """

    async def attached(self, repo: RepoName, digest: Digest) -> tuple[Digest, ...]:
        """Manifests that refer to one, if they are not found otherwise."""

    async def has_blob(self, repo: RepoName, digest: Digest) -> bool:
        """Whether a blob is there."""

    async def blob(self, repo: RepoName, digest: Digest) -> SourceBlob:
        """Open a blob.

        Raises:
            SourceMissing: If it is not there.
        """
