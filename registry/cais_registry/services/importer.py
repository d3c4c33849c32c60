# SPDX-License-Identifier: Apache-2.0
"""Takes over another registry (docs/adr/0016), by the same steps as a push."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import Final

from cais_registry.model.digest import Digest
from cais_registry.model.errors import ManifestUnknown, RegistryError, StorageFull
from cais_registry.model.imported import Imported
from cais_registry.model.limits import Limits
from cais_registry.model.manifest import Manifest, parse
from cais_registry.model.names import RepoName, Tag
from cais_registry.services.at_once import Once, work_off
from cais_registry.services.blobs import Blobs
from cais_registry.services.imported_blobs import ImportedBlobs, Target
from cais_registry.services.manifests import Manifests
from cais_registry.services.sources import Source, SourceManifest, SourceRefused, SourceRepo
from cais_registry.services.uploads import Uploads

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
        adopt: Callable[[Path, str, Digest], int],
    ) -> None:
        """Prepare.

        Args:
            blobs: Of the target.
            uploads: Of the target.
            manifests: Of the target.
            adopt: Takes over a file as the bytes of an upload of the target (`Files.adopt`).
        """
        self._target = Target(blobs=blobs, uploads=uploads, adopt=adopt)
        self._manifests = manifests

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
        one = _OneRepo(self._target, source, name, found, done)
        waiting = list(reversed(found.manifests))

        async def bring(digest: Digest) -> None:
            if digest not in one.asked:
                one.asked.add(digest)
                waiting.extend(await self._asked(one, digest))

        await work_off(waiting, bring, at_once=source.at_once)

    async def _asked(self, one: _OneRepo, digest: Digest) -> list[Digest]:
        """Import a manifest; what it lists, and what refers to it, is to be imported next."""
        came = await self._manifest(one, digest)
        if came is None:
            one.done.fail(f"{one.name}: manifest {digest}: it is missing in the source")
        if not came:
            return []
        try:
            return [*one.listed.get(digest, ()), *await one.source.attached(one.name, digest)]
        except SourceRefused as error:
            one.done.fail(f"{one.name}: what refers to {digest} cannot be asked for: {error}")
            return []

    async def _manifest(self, one: _OneRepo, digest: Digest, depth: int = 0) -> bool | None:
        """Import a manifest after what it refers to; each is looked at once.

        Nothing waits for itself: a circle would need a digest that is computed from itself.

        Returns:
            Whether it is here now; None if the source has no such manifest.
        """
        return await one.came.of(digest, partial(self._try, one, digest, depth))

    async def _try(self, one: _OneRepo, digest: Digest, depth: int) -> bool | None:
        try:
            return await self._take(one, digest, depth)
        except StorageFull:
            raise
        except SourceRefused as error:
            one.done.fail(f"{one.name}: manifest {digest}: {error} in the source")
        except RegistryError as error:
            one.done.fail(f"{one.name}: manifest {digest}: {error.message}")
        return False

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
        blobs = dict.fromkeys([*sorted(needed), *wanted])
        is_whole &= needed <= await one.blobs.bring(blobs)
        if not is_whole:
            one.done.fail(f"{one.name}: manifest {digest} is left out: something of it is missing")
        return is_whole

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

    def __init__(
        self, target: Target, source: Source, name: RepoName, found: SourceRepo, done: Imported
    ) -> None:
        self.source = source
        self.name = name
        self.done = done
        self.asked: set[Digest] = set()
        self.came: Once[Digest, bool | None] = Once()
        self.listed: dict[Digest, tuple[Digest, ...]] = {}
        self.blobs = ImportedBlobs(target, source, name, done)
        self.tags: dict[Digest, list[Tag]] = {}
        for tag, digest in found.tags.items():
            self.tags.setdefault(digest, []).append(tag)


def _groups(tags: list[Tag]) -> Iterator[list[Tag]]:
    """As many tags as one push takes; without tags, one push."""
    size = Limits().tags_per_push
    for begin in range(0, max(len(tags), 1), size):
        yield tags[begin : begin + size]
