# SPDX-License-Identifier: Apache-2.0
"""Compares bytes and database both ways (docs/adr/0013). Safe beside pushes and collections."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Final

from cais_registry.model.check import Check, CheckState, Finding, Kind
from cais_registry.model.digest import Digest
from cais_registry.model.manifest_copy import decode
from cais_registry.services.listed import UPLOADS, copy_of_manifest, pages, whole
from cais_registry.services.mirror import Mirror
from cais_registry.services.reaper import Reaper
from cais_registry.stores.blob_rows import repos_with
from cais_registry.stores.blobstore import BlobStore
from cais_registry.stores.check_rows import (
    CheckedBlob,
    CheckedManifest,
    blobs_after,
    bury_unnamed,
    manifests_after,
    restore_manifest,
    still_there,
    unnamed,
)
from cais_registry.stores.connection import Connection
from cais_registry.stores.database import Database
from cais_registry.stores.mirror_rows import copy_again
from cais_registry.stores.usage_rows import count_anew, counted_bytes, stored_bytes

_LOG = logging.getLogger(__name__)
_BATCH: Final = 256
_SHOWN: Final = 3
_FOLDERS: Final = ("blobs", "manifests", UPLOADS)


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckOptions:
    """What a check does.

    Attributes:
        repair: Whether it changes what is safe to change.
        digests: Whether it reads and hashes all bytes of blobs.
    """

    repair: bool = False
    digests: bool = False


class Checker:
    """Checks one store. What it finds, it looks up again before it says so: others go on."""

    def __init__(
        self, database: Database, store: BlobStore, mirror: Mirror, reaper: Reaper
    ) -> None:
        """Prepare.

        Args:
            database: The rows.
            store: The bytes.
            mirror: Writes copies of manifests.
            reaper: Removes what lies under tombstones.
        """
        self._database = database
        self._store = store
        self._mirror = mirror
        self._reaper = reaper
        self._last: Check | None = None
        self._task: asyncio.Task[Check] | None = None

    async def run(self, options: CheckOptions, check: Check | None = None) -> Check:
        """Check everything.

        Args:
            options: What to do.
            check: Filled along the way, so that others can watch.
        """
        check = Check() if check is None else check
        await self._blobs(options, check)
        await self._manifests(options, check)
        await self._files(options, check)
        await self._usage(options, check)
        if options.repair:
            while await self._mirror.catch_up():
                pass
            await self._reaper.reap()
        check.state = CheckState.SUCCEEDED
        return check

    def start(self, options: CheckOptions) -> Check:
        """Begin a check beside everything else; one that goes on is returned instead."""
        if self._last is None or self._last.state is not CheckState.RUNNING:
            self._last = Check()
            self._task = asyncio.create_task(self.run(options, self._last), name="check")
            self._task.add_done_callback(partial(_ended, self._last))
        return self._last

    @property
    def last(self) -> Check | None:
        """The check that goes on, or the last one since the server was started."""
        return self._last

    async def stop(self) -> None:
        """End a check that goes on."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _blobs(self, options: CheckOptions, check: Check) -> None:
        after = ""
        while rows := await self._database.read(partial(blobs_after, after=after, limit=_BATCH)):
            after = str(rows[-1].digest)
            for blob in rows:
                await self._blob(blob, options, check)
                check.blobs += 1

    async def _blob(self, blob: CheckedBlob, options: CheckOptions, check: Check) -> None:
        size = await self._store.size(blob.key)
        if size is None:
            await self._bad_blob(blob, Kind.BLOB_MISSING, "its bytes are not there", options, check)
        elif size != blob.size:
            what = f"it has {size} bytes instead of {blob.size}"
            await self._bad_blob(blob, Kind.BLOB_SIZE, what, options, check)
        elif options.digests:
            found = await self._store.digest(blob.key, blob.digest.algorithm)
            check.bytes_read += size
            if found != blob.digest:
                what = f"its bytes have digest {found}"
                await self._bad_blob(blob, Kind.BLOB_DIGEST, what, options, check)

    async def _bad_blob(
        self, blob: CheckedBlob, kind: Kind, what: str, options: CheckOptions, check: Check
    ) -> None:
        """Damaged bytes are moved away: then the blob is unknown, and the next push heals it."""
        if not await self._database.read(partial(still_there, blob=blob)):
            return  # garbage collection or a new push was here meanwhile
        moved = None
        if options.repair and kind is not Kind.BLOB_MISSING:
            moved = await self._store.set_aside(blob.key)
        names = await self._database.read(partial(_some_repos, digest=blob.digest))
        message = f"blob {blob.digest}: {what}; push it again to {names}" + (
            f" (what is left of it is in {moved})" if moved else ""
        )
        check.add(Finding(kind=kind, where=blob.key, message=message, is_repaired=False))

    async def _manifests(self, options: CheckOptions, check: Check) -> None:
        place = (0, "")
        while rows := await self._database.read(
            partial(manifests_after, after=place, limit=_BATCH // 16)
        ):
            place = (rows[-1].repo_id, str(rows[-1].digest))
            for manifest in rows:
                await self._manifest(manifest, options, check)
                check.manifests += 1

    async def _manifest(self, row: CheckedManifest, options: CheckOptions, check: Check) -> None:
        data = await copy_of_manifest(self._store, row.key)
        copy = decode(data or b"")
        is_content_good = Digest.of(copy.content, row.digest.algorithm) == row.digest
        is_copy_good = (
            is_content_good and copy.origin is not None and copy.origin.repo.value == row.repo
        )
        if Digest.of(row.content, row.digest.algorithm) != row.digest:
            await self._bad_manifest(row, copy.content if is_content_good else None, options, check)
        elif row.is_mirrored and not is_copy_good:
            kind = Kind.COPY_MISSING if data is None else Kind.COPY_DAMAGED
            await self._bad_copy(row, kind, options, check)

    async def _bad_manifest(
        self, row: CheckedManifest, copy: bytes | None, options: CheckOptions, check: Check
    ) -> None:
        is_repaired = False
        if options.repair and copy is not None:
            restore = partial(restore_manifest, manifest=row, content=copy)
            is_repaired = await self._database.write(restore)
        advice = (
            "taken from its copy"
            if is_repaired
            else ("its copy is good: `--repair` takes it" if copy is not None else "push it again")
        )
        message = f"manifest {row.digest} of {row.repo} is damaged in the database; {advice}"
        check.add(
            Finding(
                kind=Kind.MANIFEST_DIGEST, where=row.key, message=message, is_repaired=is_repaired
            )
        )

    async def _bad_copy(
        self, row: CheckedManifest, kind: Kind, options: CheckOptions, check: Check
    ) -> None:
        is_repaired = False
        if options.repair:
            is_repaired = await self._database.write(partial(copy_again, key=row.key))
            if not is_repaired:
                return  # garbage collection was here meanwhile
        elif await self._database.read(partial(unnamed, keys=[row.key])):
            return
        advice = "written anew" if is_repaired else "`--repair` writes it anew"
        message = f"the copy of manifest {row.digest} of {row.repo} is {kind.value[5:]}; {advice}"
        check.add(Finding(kind=kind, where=row.key, message=message, is_repaired=is_repaired))

    async def _usage(self, options: CheckOptions, check: Check) -> None:
        """The number of stored bytes, which every change adds to, against the rows."""
        kept, counted = await self._database.read_slowly(_bytes)
        if kept == counted:
            return
        if options.repair:
            await self._database.write(count_anew)
        advice = "put right" if options.repair else "`--repair` puts it right"
        message = f"{kept} bytes are counted as stored, but there are {counted}; {advice}"
        finding = Finding(
            kind=Kind.USAGE_WRONG, where="usage", message=message, is_repaired=options.repair
        )
        check.add(finding)

    async def _files(self, options: CheckOptions, check: Check) -> None:
        for folder in _FOLDERS:
            async for found in pages(self._store, folder, _BATCH):
                check.files += len(found)
                await self._look_for_rows(whole(found), options, check)

    async def _look_for_rows(
        self, batch: list[tuple[str, int]], options: CheckOptions, check: Check
    ) -> None:
        repairs = options.repair and self._may_bury(batch, check)
        if repairs:
            orphans = await self._database.write(partial(bury_unnamed, keys=batch))
        else:
            keys = [key for key, _ in batch]
            orphans = await self._database.read(partial(unnamed, keys=keys))
        advice = "`--repair` removes it"
        if options.repair:
            advice = "removed" if repairs else "left, as the database knows nothing: is it yours?"
        for key in orphans:
            message = f"{key} belongs to nothing; {advice}"
            check.add(Finding(kind=Kind.ORPHAN, where=key, message=message, is_repaired=repairs))

    @staticmethod
    def _may_bury(batch: list[tuple[str, int]], check: Check) -> bool:
        """Whoever names an empty database by mistake must not lose every image for it."""
        return bool(check.blobs or check.manifests or batch[0][0].startswith(f"{UPLOADS}/"))


def _bytes(connection: Connection) -> tuple[int, int]:
    return stored_bytes(connection), counted_bytes(connection)


def _ended(check: Check, task: asyncio.Task[Check]) -> None:
    if task.cancelled() or task.exception() is not None:
        check.state = CheckState.FAILED
    if not task.cancelled() and task.exception() is not None:
        _LOG.error("the check of the store failed", exc_info=task.exception())


def _some_repos(connection: Connection, digest: Digest) -> str:
    names = [str(name) for name in islice(repos_with(connection, digest), _SHOWN + 1)]
    more = ", ..." if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more if names else "any repository"
