# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from asyncio import Semaphore
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import aclosing, closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from cais_registry.model.digest import Digest
from cais_registry.model.errors import BlobUnknown, RegistryError, StorageFull
from cais_registry.model.imported import Imported
from cais_registry.model.names import RepoName
from cais_registry.services.at_once import Once, work_off
from cais_registry.services.blobs import Blobs
from cais_registry.services.chunks import Chunk
from cais_registry.services.sources import Source, SourceBlob, SourceMissing, SourceRefused
from cais_registry.services.uploads import Uploads

_PRINCIPAL: Final = "import"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where blobs are imported to.

    Attributes:
        blobs: Of the registry.
        uploads: Of the registry.
        adopt: Takes over a file as the bytes of an upload (`Files.adopt`).
    """

    blobs: Blobs
    uploads: Uploads
    adopt: Callable[[Path, str, Digest], int]


class ImportedBlobs:
    """The blobs of one repository on their way; each is looked at once.

    No more are on their way than the source takes, of however many manifests.
    """

    def __init__(self, target: Target, source: Source, repo: RepoName, done: Imported) -> None:
        self._target = target
        self._source = source
        self._repo = repo
        self._done = done
        self._places = Semaphore(source.at_once)
        self._came: Once[Digest, bool] = Once()

    async def bring(self, blobs: Iterable[Digest]) -> set[Digest]:
        """Import blobs, some at once.

        Returns:
            Those that are here now; why others are not is told.

        Raises:
            StorageFull: If the disk is full.
            SourceLost: If the source is lost.
        """
        here: set[Digest] = set()

        async def bring(digest: Digest) -> None:
            if await self._came.of(digest, partial(self._bring, digest)):
                here.add(digest)

        await work_off(list(blobs), bring, at_once=self._source.at_once)
        return here

    async def _bring(self, digest: Digest) -> bool:
        async with self._places:
            try:
                await self._blob(digest)
            except SourceRefused as error:
                problem = f"blob {digest}: {error} in the source"
            except StorageFull:
                raise
            except (OSError, RegistryError) as error:
                problem = f"blob {digest} is damaged in the source: {error}"
            else:
                return True
        self._done.fail(f"{self._repo}: {problem}")
        return False

    async def _blob(self, digest: Digest) -> None:
        blobs = self._target.blobs
        try:
            await blobs.stat(self._repo, digest, promise=True)
        except BlobUnknown:
            # whoever has it already spares the bytes
            if not await blobs.mount(self._repo, digest, source=None, readable=lambda _: True):
                await self._fetch(digest)
                return
        self._done.present += 1

    async def _fetch(self, digest: Digest) -> None:
        blob, done = await self._source.blob(self._repo, digest), self._done
        with closing(blob):
            async with aclosing(blob.pieces):
                size = None if blob.path is None else await self._link(digest, blob.path)
                if size is not None:
                    done.blobs_linked += 1
                else:
                    size = await self._copy(digest, blob)
                    done.blobs_copied += 1
        done.bytes += size

    async def _link(self, digest: Digest, path: Path) -> int | None:
        """Take over a file; None if that cannot be: it is on another file system, say."""
        adopt = partial(self._target.adopt, path)
        try:
            return await self._target.uploads.adopt(self._repo, _PRINCIPAL, digest, adopt)
        except FileNotFoundError as error:
            raise SourceMissing("it is missing") from error
        except OSError:
            return None

    async def _copy(self, digest: Digest, blob: SourceBlob) -> int:
        chunk = Chunk(body=_counted(blob, self._done), length=blob.size)
        return (await self._target.uploads.push(self._repo, _PRINCIPAL, digest, chunk)).size


async def _counted(blob: SourceBlob, done: Imported) -> AsyncGenerator[bytes, None]:
    async for piece in blob.pieces:
        done.received += len(piece)
        yield piece
