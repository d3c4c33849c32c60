# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Final

from cais_registry.model.digest import Digest
from cais_registry.model.limits import Limits
from cais_registry.model.names import RepoName
from cais_registry.services.sources import (
    SourceBlob,
    SourceManifest,
    SourceMissing,
    SourceRefused,
    SourceRepo,
)
from cais_registry.stores.distribution_tree import Tree

_PIECE: Final = 1 << 20


class TreeSource:
    """The folder of a CNCF Distribution registry as a `Source`; one repository at a time."""

    at_once = 32  # a disk makes many things durable in the time of one

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._manifests: frozenset[Digest] = frozenset()

    async def repositories(self) -> AsyncGenerator[SourceRepo, None]:
        """See `Source`."""
        for repo in self._tree.repositories():
            self._manifests = frozenset(repo.manifests)
            yield SourceRepo(
                name=repo.name, manifests=repo.manifests, tags=repo.tags, broken=repo.broken
            )

    async def manifest(self, repo: RepoName, digest: Digest) -> SourceManifest | None:
        """See `Source`; a tree does not say media types."""
        del repo
        if digest not in self._manifests:
            return None
        content = await asyncio.to_thread(_read, self._tree.blob(digest))
        return SourceManifest(content=content, media_type=None)

    async def attached(self, repo: RepoName, digest: Digest) -> tuple[Digest, ...]:
        """See `Source`; they are among the manifests of the repository."""
        del repo, digest
        return ()

    async def has_blob(self, repo: RepoName, digest: Digest) -> bool:
        """See `Source`."""
        del repo
        return self._tree.blob(digest).exists()

    async def blob(self, repo: RepoName, digest: Digest) -> SourceBlob:
        """See `Source`."""
        del repo
        path = self._tree.blob(digest)
        return SourceBlob(size=None, pieces=_pieces(path), path=path)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(Limits().manifest_bytes + 1)
    except OSError as error:
        raise SourceMissing("it is missing") from error


async def _pieces(path: Path) -> AsyncGenerator[bytes, None]:
    try:
        with await asyncio.to_thread(path.open, "rb") as file:
            while piece := await asyncio.to_thread(file.read, _PIECE):
                yield piece
    except OSError as error:
        raise SourceRefused(f"it cannot be read: {error.strerror}") from error
