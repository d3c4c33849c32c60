# SPDX-License-Identifier: Apache-2.0
"""Takes over the folder of another registry (docs/adr/0016), by the same steps as a push."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Final

from cais_registry.model.digest import Digest
from cais_registry.model.errors import (
    BlobUnknown,
    ManifestUnknown,
    RegistryError,
    StorageFull,
)
from cais_registry.model.imported import Imported
from cais_registry.model.limits import Limits
from cais_registry.model.manifest import Manifest, parse, said_type
from cais_registry.model.names import RepoName, Tag
from cais_registry.services.blobs import Blobs
from cais_registry.services.chunks import Chunk
from cais_registry.services.manifests import Manifests
from cais_registry.services.uploads import Uploads
from cais_registry.stores.distribution_tree import Tree, TreeRepo

_PRINCIPAL: Final = "import"
_PIECE: Final = 1 << 20


class Importer:
    """Imports repositories one after the other; what is here already is left as it is.

    A manifest comes after what it refers to, a tag with its manifest. So an import that is cut off
    leaves nothing that is half there, and the next one goes on.
    """

    def __init__(
        self,
        blobs: Blobs,
        uploads: Uploads,
        manifests: Manifests,
        link: Callable[[Path, str], None],
    ) -> None:
        """Prepare.

        Args:
            blobs: Of the target.
            uploads: Of the target.
            manifests: Of the target.
            link: Gives a file a second name, under a storage key of the target.
        """
        self._blobs = blobs
        self._uploads = uploads
        self._manifests = manifests
        self._link = link

    async def run(self, tree: Tree, done: Imported) -> None:
        """Import everything.

        Args:
            tree: Where from; it is only read.
            done: Filled along the way, so that others can watch.

        Raises:
            StorageFull: If the disk is full; what was imported stays.
        """
        for repo in tree.repositories():
            for problem in repo.broken:
                done.fail(f"{repo.name}: {problem}")
            await self._repo(tree, repo, done)
            done.repositories += 1

    async def _repo(self, tree: Tree, found: TreeRepo, done: Imported) -> None:
        try:
            name = RepoName.parse(found.name)
        except RegistryError as error:
            done.fail(error.message)
            return
        one = _OneRepo(tree, name, found, done)
        for digest in found.manifests:
            await self._manifest(one, digest)

    async def _manifest(self, one: _OneRepo, digest: Digest) -> bool:
        """Import a manifest after what it refers to; each is looked at once."""
        if digest in one.seen:
            return one.seen[digest]
        one.seen[digest] = False  # of a circle, which no true digests can make, none is taken
        try:
            one.seen[digest] = await self._take(one, digest)
        except StorageFull:
            raise
        except RegistryError as error:
            one.done.fail(f"{one.name}: manifest {digest}: {error.message}")
        return one.seen[digest]

    async def _take(self, one: _OneRepo, digest: Digest) -> bool:
        content = await asyncio.to_thread(_read, one.tree.blob(digest))
        if content is None or Digest.of(content, digest.algorithm) != digest:
            what = "missing" if content is None else "damaged"
            one.done.fail(f"{one.name}: manifest {digest} is {what} in the source")
            return False
        media_type = said_type(content)
        manifest = await asyncio.to_thread(parse, content, media_type)
        if not await self._needs(one, digest, manifest):
            return False
        tags = one.tags.get(digest, [])
        is_here = await self._has(one.name, digest)
        one.done.present += is_here
        one.done.manifests += not is_here
        if is_here:
            tags = [tag for tag in tags if await self._points(one.name, tag) != digest]
        if tags or not is_here:
            for group in _groups(tags):
                await self._manifests.put(one.name, digest, content, media_type, tags=group)
        one.done.tags += len(tags)
        return True

    async def _needs(self, one: _OneRepo, digest: Digest, manifest: Manifest) -> bool:
        """Import what a manifest refers to; all of it has to be there."""
        is_whole = True
        for child in manifest.children:
            known = child in one.found
            is_whole &= await (self._manifest(one, child) if known else self._blob(one, child))
        for blob in manifest.blobs:
            is_whole &= await self._blob(one, blob)
        for blob in manifest.optional:
            if one.tree.blob(blob).exists():
                await self._blob(one, blob)
        if not is_whole:
            one.done.fail(f"{one.name}: manifest {digest} is left out: something of it is missing")
        return is_whole

    async def _blob(self, one: _OneRepo, digest: Digest) -> bool:
        try:
            await self._blobs.stat(one.name, digest, promise=True)
        except BlobUnknown:
            pass
        else:
            one.done.present += digest not in one.blobs
            one.blobs.add(digest)
            return True
        try:
            await self._fetch(one, digest)
        except FileNotFoundError:
            one.done.fail(f"{one.name}: blob {digest} is missing in the source")
            return False
        except StorageFull:
            raise
        except (OSError, RegistryError) as error:
            one.done.fail(f"{one.name}: blob {digest} is damaged in the source: {error}")
            return False
        one.blobs.add(digest)
        return True

    async def _fetch(self, one: _OneRepo, digest: Digest) -> None:
        path = one.tree.blob(digest)
        size = (await asyncio.to_thread(path.stat)).st_size
        # whoever has it already spares the bytes
        if await self._blobs.mount(one.name, digest, source=None, readable=lambda _: True):
            one.done.present += 1
            return
        if await self._uploads.adopt(one.name, _PRINCIPAL, digest, partial(self._link, path)):
            one.done.blobs_linked += 1
        else:
            chunk = Chunk(body=_pieces(path), length=size)
            await self._uploads.push(one.name, _PRINCIPAL, digest, chunk)
            one.done.blobs_copied += 1
        one.done.bytes += size

    async def _has(self, repo: RepoName, reference: Digest | Tag) -> bool:
        return await self._points(repo, reference) is not None

    async def _points(self, repo: RepoName, reference: Digest | Tag) -> Digest | None:
        try:
            return (await self._manifests.stat(repo, reference)).digest
        except ManifestUnknown:
            return None


class _OneRepo:
    """A repository on its way."""

    def __init__(self, tree: Tree, name: RepoName, found: TreeRepo, done: Imported) -> None:
        self.tree = tree
        self.name = name
        self.done = done
        self.found = frozenset(found.manifests)
        self.seen: dict[Digest, bool] = {}
        self.blobs: set[Digest] = set()
        self.tags: dict[Digest, list[Tag]] = {}
        for tag, digest in found.tags.items():
            self.tags.setdefault(digest, []).append(tag)


def _groups(tags: list[Tag]) -> Iterator[list[Tag]]:
    """As many tags as one push takes; without tags, one push."""
    size = Limits().tags_per_push
    for begin in range(0, max(len(tags), 1), size):
        yield tags[begin : begin + size]


def _read(path: Path) -> bytes | None:
    limit = Limits().manifest_bytes
    try:
        with path.open("rb") as file:
            return file.read(limit + 1)
    except OSError:
        return None


async def _pieces(path: Path) -> AsyncIterator[bytes]:
    with await asyncio.to_thread(path.open, "rb") as file:
        while piece := await asyncio.to_thread(file.read, _PIECE):
            yield piece
