# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial

from cais_registry.model.digest import LENGTHS, Digest, UploadId
from cais_registry.model.errors import DigestInvalid, QuotaExceeded, StorageFull, TooManyRequests
from cais_registry.model.limits import Limits
from cais_registry.model.names import RepoName
from cais_registry.services.at_once import to_its_end
from cais_registry.services.blobs import BlobInfo
from cais_registry.services.changes import Changes
from cais_registry.services.chunks import Chunk, receive
from cais_registry.services.failpoints import Failpoint, no_failpoint
from cais_registry.services.publisher import Publisher, UploadRef, upload_unknown
from cais_registry.services.room import Room
from cais_registry.services.sessions import Sessions
from cais_registry.stores.blobstore import BlobStore, UploadBytes
from cais_registry.stores.connection import Connection
from cais_registry.stores.database import Database
from cais_registry.stores.upload_rows import (
    NewUpload,
    UploadRow,
    count_uploads,
    insert_upload,
    prolong,
)

__all__ = ["Chunk", "UploadRef", "UploadStatus", "Uploads"]


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadStatus:
    """An upload that is going on.

    Attributes:
        id: Its name.
        size: Bytes received so far; the next chunk begins here.
    """

    id: UploadId
    size: int


class Uploads:
    """Uploads, each bound to the repository and the user that began it.

    Two requests never write to one upload at the same time.
    """

    def __init__(
        self,
        database: Database,
        changes: Changes,
        store: BlobStore,
        limits: Limits,
        failpoint: Failpoint = no_failpoint,
    ) -> None:
        self._database = database
        self._changes = changes
        self._limits = limits
        self._failpoint = failpoint
        self._sessions = Sessions(database, store)
        self._publisher = Publisher(database, changes, store, failpoint)

    async def start(
        self, repo: RepoName, principal: str | None, *, algorithm: str = "sha256"
    ) -> UploadStatus:
        """Begin an upload (end-4a, end-4c).

        Args:
            repo: Where the blob will be.
            principal: Who sends it.
            algorithm: Digest algorithm the client means to use; only a hint.

        Raises:
            DigestInvalid: If the algorithm is not known.
            ReadOnly: If the registry is read-only.
            TooManyRequests: If too many uploads are begun and not ended.
        """
        if algorithm not in LENGTHS:
            raise DigestInvalid(f"digest algorithm {algorithm[:40]!r} is not sha256 or sha512")
        upload = await self._insert(repo, principal, algorithm, None)
        return UploadStatus(id=UploadId(upload), size=0)

    async def status(self, ref: UploadRef) -> UploadStatus:
        """Tell how far an upload is (end-13).

        Raises:
            BlobUploadUnknown: If there is no such upload for this user and repository.
        """
        row = await self._sessions.find(ref)
        return UploadStatus(id=ref.id, size=self._sessions.size(row))

    async def append(self, ref: UploadRef, chunk: Chunk) -> UploadStatus:
        """Receive a chunk (end-5).

        What came of a body that fails is kept; where quota or disk do not take it, it is dropped.

        Raises:
            BlobUploadUnknown: If there is no such upload for this user and repository.
            RangeInvalid: If the chunk does not begin where the upload ends.
            UploadBusy: If another request is writing to this upload.
            SizeInvalid: If fewer or more bytes came than were declared.
            QuotaExceeded: As soon as it is clear that the quota does not take them.
            StorageFull: If the disk is full.
        """
        room = await self._changes.room(None)
        async with self._within_room(ref), self._sessions.opened(ref) as (row, file):
            file.hash_with(row.algorithm)
            await self._prolong(row)
            try:
                await receive(file, chunk, room)
            finally:
                await self._sessions.save(ref, row, file)
            return UploadStatus(id=ref.id, size=file.size)

    async def finish(self, ref: UploadRef, digest: Digest, chunk: Chunk | None = None) -> BlobInfo:
        """Receive the last chunk, if any, and make the blob the repository's (end-6).

        When it returns, bytes and metadata survive a power loss.

        Raises:
            DigestInvalid: If the bytes have another digest; the upload is dropped.
            BlobUploadUnknown: If there is no such upload for this user and repository.
            RangeInvalid: If the chunk does not begin where the upload ends.
            UploadBusy: If another request is writing to this upload.
            SizeInvalid: If fewer or more bytes came than were declared; what came is kept.
            QuotaExceeded, ReadOnly: If the policy does not take the blob; the upload is dropped.
            StorageFull: If the disk is full.
        """
        room = await self._changes.room(digest)
        async with self._within_room(ref):
            return await self._finish(ref, digest, chunk, room, is_ours_alone=False)

    async def _finish(
        self,
        ref: UploadRef,
        digest: Digest,
        chunk: Chunk | None,
        room: Room | None,
        *,
        is_ours_alone: bool,
    ) -> BlobInfo:
        opened = self._sessions.opened(ref, is_ours_alone=is_ours_alone)
        async with opened as (row, file):
            file.hash_with(digest.algorithm)
            if chunk is not None:
                await self._prolong(row)
                await self._receive_last(ref, row, file, chunk, room)
            elif room is not None:
                room.check(file.size)
            recorded = row.digest == digest
            blob = await self._publisher.finish(ref, file, digest, recorded=recorded)
        self._sessions.forget(ref)
        return blob

    async def _receive_last(
        self, ref: UploadRef, row: UploadRow, file: UploadBytes, chunk: Chunk, room: Room | None
    ) -> None:
        """What came of a chunk that failed is kept; a whole one becomes a blob right away."""
        try:
            await receive(file, chunk, room)
        except BaseException:
            await self._sessions.save(ref, row, file)
            raise

    async def push(
        self, repo: RepoName, principal: str | None, digest: Digest, chunk: Chunk
    ) -> BlobInfo:
        """Receive a whole blob in one request (end-4b); a failure leaves nothing behind.

        Raises:
            DigestInvalid: If the bytes have another digest.
            SizeInvalid: If fewer or more bytes came than were declared.
            QuotaExceeded, ReadOnly: If the policy does not take the blob.
            StorageFull: If the disk is full.
        """
        room = await self._changes.room(digest, chunk.length or 0)
        upload = await self._insert(repo, principal, digest.algorithm, digest)
        ref = UploadRef(repo=repo, principal=principal, id=UploadId(upload))
        try:
            async with self._within_room(ref):
                return await self._finish(ref, digest, chunk, room, is_ours_alone=True)
        except BaseException:
            await self._drop(ref)
            raise

    async def adopt(
        self,
        repo: RepoName,
        principal: str | None,
        digest: Digest,
        place: Callable[[str, Digest], int],
    ) -> int:
        """Make bytes that are on the disk already a blob; a failure leaves nothing behind.

        Args:
            repo: Where the blob will be.
            principal: Who brings it.
            digest: What the bytes should be.
            place: Given an upload and the digest, verifies the bytes, makes them durable under
                the upload's final key, and returns their number (`Files.adopt`); it may block.

        Returns:
            The number of bytes.

        Raises:
            BlobUploadUnknown: If somebody dropped the upload meanwhile.
            Exception: Whatever `place` raises.
        """
        upload = await self._insert(repo, principal, digest.algorithm, digest)
        ref = UploadRef(repo=repo, principal=principal, id=UploadId(upload))
        try:
            self._failpoint("U3.publish")
            size = await to_its_end(asyncio.to_thread(place, upload, digest))
            await self._publisher.adopt(ref, digest, size)
        except BaseException:
            await to_its_end(self._publisher.drop(upload))
            raise
        return size

    async def cancel(self, ref: UploadRef) -> None:
        """Drop an upload and its bytes (end-14), also while another request writes to it.

        Raises:
            BlobUploadUnknown: If there is no such upload for this user and repository.
        """
        await self._sessions.find(ref)
        if not await self._drop(ref):
            raise upload_unknown()

    @asynccontextmanager
    async def _within_room(self, ref: UploadRef) -> AsyncIterator[None]:
        """An upload that quota or disk do not take leaves nothing behind.

        Clients begin a new upload when they try again: what they left would keep the disk full.
        """
        try:
            yield
        except QuotaExceeded as error:
            await self._drop(ref)
            raise await self._changes.explained(error) from None
        except StorageFull:
            with suppress(StorageFull):  # no room to write that down: it expires
                await self._drop(ref)
            raise

    async def _drop(self, ref: UploadRef) -> bool:
        self._sessions.forget(ref)
        return await to_its_end(self._publisher.drop(ref.id.value))

    async def _insert(
        self, repo: RepoName, principal: str | None, algorithm: str, digest: Digest | None
    ) -> str:
        new = NewUpload(
            id=secrets.token_hex(16),
            repo=repo,
            principal=principal,
            algorithm=algorithm,
            digest=digest,
            ttl=self._ttl(),
        )
        self._failpoint("U1")
        try:
            await self._changes.write(partial(self._insert_within_limits, new))
        except asyncio.CancelledError:  # it may be written all the same
            await to_its_end(self._publisher.drop(new.id))
            raise
        return new.id

    def _insert_within_limits(self, new: NewUpload, connection: Connection) -> None:
        limits, found = self._limits, count_uploads(connection, new.principal)
        if found.own >= limits.open_uploads_per_user:
            whose, most = f"user {new.principal!r} has", limits.open_uploads_per_user
        elif found.everyone >= limits.open_uploads:
            whose, most = "the registry has", limits.open_uploads
        else:
            insert_upload(connection, new)
            return
        raise TooManyRequests(
            f"{whose} {most} uploads that were begun and not ended, the most that are allowed: "
            "finish or cancel some, or wait until they expire"
        )

    def _ttl(self) -> int:
        return round(self._changes.policy().upload_ttl.total_seconds() * 1_000_000)

    async def _prolong(self, row: UploadRow) -> None:
        """Put the expiry off, at most twice in its time."""
        ttl = self._ttl()
        if row.expires_at - self._database.now() < ttl // 2:
            await self._database.write(partial(prolong, upload=row.id, ttl=ttl))
