# SPDX-License-Identifier: Apache-2.0
"""Takes over another registry (docs/adr/0016), by the same steps as a push."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from contextlib import aclosing
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
from cais_registry.model.manifest import Manifest, parse
from cais_registry.model.names import RepoName, Tag
from cais_registry.services.blobs import Blobs
from cais_registry.services.chunks import Chunk
from cais_registry.services.manifests import Manifests
from cais_registry.services.sources import (
    Source,
    SourceBlob,
    SourceManifest,
    SourceRefused,
    SourceRepo,
)
from cais_registry.services.uploads import Uploads

_PRINCIPAL: Final = "import"
_AT_ONCE: Final = 4
"""Blobs that are on their way together."""
_MOST_NESTED: Final = 32
"""An index in an index, and so on; nobody nests more than two."""


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

    async def run(self, source: Source, done: Imported) -> None:
        """Import everything.

        Args:
            source: Where from; it is only read.
            done: Filled along the way, so that others can watch.

        Raises:
            StorageFull: If the disk is full; what was imported stays.
            SourceLost: If the source is lost on the way; what was imported stays.
            SourceRefused: If the source does not tell its repositories.
        """
        async with aclosing(source.repositories()) as repositories:
            async for repo in repositories:
                for problem in repo.broken:
                    done.fail(f"{repo.name}: {problem}")
                await self._repo(source, repo, done)
                done.repositories += 1

    async def _repo(self, source: Source, found: SourceRepo, done: Imported) -> None:
        try:
            name = RepoName.parse(found.name)
        except RegistryError as error:
            done.fail(error.message)
            return
        one = _OneRepo(source, name, found, done)
        waiting = list(reversed(found.manifests))
        while waiting:
            digest = waiting.pop()
            if digest not in one.asked:
                one.asked.add(digest)
                if await self._manifest(one, digest) is None:
                    done.fail(f"{name}: manifest {digest}: it is missing in the source")
                waiting += await self._attached(one, digest)

    async def _attached(self, one: _OneRepo, digest: Digest) -> list[Digest]:
        """What refers to a manifest that came over, and what it lists: to be imported next."""
        if not one.seen.get(digest):
            return []
        try:
            return [*one.listed.get(digest, ()), *await one.source.attached(one.name, digest)]
        except SourceRefused as error:
            one.done.fail(f"{one.name}: what refers to {digest} cannot be asked for: {error}")
            return []

    async def _manifest(self, one: _OneRepo, digest: Digest, depth: int = 0) -> bool | None:
        """Import a manifest after what it refers to; each is looked at once.

        Returns:
            Whether it is here now; None if the source has no such manifest.
        """
        if digest in one.seen:
            return one.seen[digest]
        one.seen[digest] = False  # of a circle, which no true digests can make, none is taken
        try:
            one.seen[digest] = await self._take(one, digest, depth)
        except StorageFull:
            raise
        except SourceRefused as error:
            one.done.fail(f"{one.name}: manifest {digest}: {error} in the source")
        except RegistryError as error:
            one.done.fail(f"{one.name}: manifest {digest}: {error.message}")
        return one.seen[digest]

    async def _take(self, one: _OneRepo, digest: Digest, depth: int) -> bool | None:
        if depth > _MOST_NESTED:
            raise SourceRefused("it is nested too deeply")
        here = await self._here(one.name, digest)
        found = here or await one.source.manifest(one.name, digest)
        if found is None:
            return None
        if Digest.of(found.content, digest.algorithm) != digest:
            raise SourceRefused("it is damaged")
        found = found.typed()
        manifest = await asyncio.to_thread(parse, found.content, found.media_type)
        if not await self._needs(one, digest, manifest, depth):
            return False
        await self._put(one, digest, found, is_here=here is not None)
        one.listed[digest] = manifest.children
        return True

    async def _put(
        self, one: _OneRepo, digest: Digest, found: SourceManifest, *, is_here: bool
    ) -> None:
        tags = one.tags.get(digest, [])
        one.done.present += is_here
        one.done.manifests += not is_here
        if is_here:
            tags = [tag for tag in tags if await self._points(one.name, tag) != digest]
        if tags or not is_here:
            for group in _groups(tags):
                await self._manifests.put(
                    one.name, digest, found.content, found.media_type, tags=group
                )
        one.done.tags += len(tags)

    async def _needs(self, one: _OneRepo, digest: Digest, manifest: Manifest, depth: int) -> bool:
        """Import what a manifest refers to; all of it has to be there."""
        is_whole = True
        needed = set(manifest.blobs)
        for child in manifest.children:
            came = await self._manifest(one, child, depth + 1)
            is_whole &= came is not False
            if came is None:
                needed.add(child)
        wanted = [b for b in manifest.optional if await one.source.has_blob(one.name, b)]
        is_whole &= needed <= await self._blobs_of(one, [*sorted(needed), *wanted])
        if not is_whole:
            one.done.fail(f"{one.name}: manifest {digest} is left out: something of it is missing")
        return is_whole

    async def _blobs_of(self, one: _OneRepo, blobs: Iterable[Digest]) -> set[Digest]:
        """Import blobs, some at once; returns those that are here now."""
        places = asyncio.Semaphore(_AT_ONCE)

        async def bring(digest: Digest) -> bool:
            async with places:
                return await self._blob(one, digest)

        wanted = list(dict.fromkeys(blobs))
        came = await asyncio.gather(*map(bring, wanted), return_exceptions=True)
        for result in came:
            if isinstance(result, BaseException):
                raise result
        return {digest for digest, result in zip(wanted, came, strict=True) if result}

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
        except SourceRefused as error:
            one.done.fail(f"{one.name}: blob {digest}: {error} in the source")
            return False
        except StorageFull:
            raise
        except (OSError, RegistryError) as error:
            one.done.fail(f"{one.name}: blob {digest} is damaged in the source: {error}")
            return False
        one.blobs.add(digest)
        return True

    async def _fetch(self, one: _OneRepo, digest: Digest) -> None:
        # whoever has it already spares the bytes
        if await self._blobs.mount(one.name, digest, source=None, readable=lambda _: True):
            one.done.present += 1
            return
        blob = await one.source.blob(one.name, digest)
        async with aclosing(blob.pieces):
            linked = blob.path is not None and await self._uploads.adopt(
                one.name, _PRINCIPAL, digest, partial(self._link, blob.path)
            )
            if linked:
                one.done.blobs_linked += 1
            else:
                body = _counted(blob, one.done)
                await self._uploads.push(
                    one.name, _PRINCIPAL, digest, Chunk(body=body, length=blob.size)
                )
                one.done.blobs_copied += 1
        one.done.bytes += (await self._blobs.stat(one.name, digest, promise=False)).size

    async def _here(self, repo: RepoName, digest: Digest) -> SourceManifest | None:
        try:
            stored = await self._manifests.get(repo, digest)
        except ManifestUnknown:
            return None
        return SourceManifest(content=stored.content, media_type=stored.media_type)

    async def _points(self, repo: RepoName, tag: Tag) -> Digest | None:
        try:
            return (await self._manifests.stat(repo, tag)).digest
        except ManifestUnknown:
            return None


class _OneRepo:
    """A repository on its way."""

    def __init__(self, source: Source, name: RepoName, found: SourceRepo, done: Imported) -> None:
        self.source = source
        self.name = name
        self.done = done
        self.asked: set[Digest] = set()
        self.seen: dict[Digest, bool | None] = {}
        self.listed: dict[Digest, tuple[Digest, ...]] = {}
        self.blobs: set[Digest] = set()
        self.tags: dict[Digest, list[Tag]] = {}
        for tag, digest in found.tags.items():
            self.tags.setdefault(digest, []).append(tag)


def _groups(tags: list[Tag]) -> Iterator[list[Tag]]:
    """As many tags as one push takes; without tags, one push."""
    size = Limits().tags_per_push
    for begin in range(0, max(len(tags), 1), size):
        yield tags[begin : begin + size]


async def _counted(blob: SourceBlob, done: Imported) -> AsyncGenerator[bytes, None]:
    async for piece in blob.pieces:
        done.received += len(piece)
        yield piece
