# SPDX-License-Identifier: Apache-2.0
"""Ends uploads: as a blob (the steps U3 and U4 of docs/adr/0006), or for good."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

from cais_registry.model.digest import Digest, UploadId
from cais_registry.model.errors import (
    BlobUploadUnknown,
    DigestInvalid,
    QuotaExceeded,
    ReadOnly,
)
from cais_registry.model.names import RepoName
from cais_registry.services.blobs import BlobInfo
from cais_registry.services.changes import Changes
from cais_registry.services.failpoints import Failpoint
from cais_registry.stores.blob_rows import (
    BlobRow,
    Commit,
    Committed,
    commit_upload,
    find_blob,
    refuse_upload,
)
from cais_registry.stores.blobstore import BlobStore, UploadBytes
from cais_registry.stores.database import Database
from cais_registry.stores.layout import blob_key, upload_key
from cais_registry.stores.upload_rows import drop_upload, record_digest


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadRef:
    """One upload as a request names it; whoever is not its owner finds nothing.

    Attributes:
        repo: The repository in the request's path.
        principal: The user who asks, None for someone anonymous.
        id: The upload's name.
    """

    repo: RepoName
    principal: str | None
    id: UploadId


def upload_unknown() -> BlobUploadUnknown:
    """The one error for every upload that is not there, or not yours."""
    return BlobUploadUnknown(
        "there is no such upload: it was finished or cancelled, has expired, or is not yours; "
        "begin a new one"
    )


class Publisher:
    """Turns the bytes of an upload into a blob."""

    def __init__(
        self, database: Database, changes: Changes, store: BlobStore, failpoint: Failpoint
    ) -> None:
        self._database = database
        self._changes = changes
        self._store = store
        self._failpoint = failpoint

    async def finish(
        self, ref: UploadRef, file: UploadBytes, digest: Digest, *, recorded: bool
    ) -> BlobInfo:
        """Verify the bytes of an upload and make them the repository's blob.

        Args:
            ref: The upload, which belongs to whoever asks.
            file: Its bytes, locked.
            digest: What the client says they are.
            recorded: Whether the upload's row says already that this is what it becomes.

        Raises:
            DigestInvalid: If the bytes have another digest; the upload is dropped.
            BlobUploadUnknown: If somebody dropped the upload meanwhile.
            QuotaExceeded, ReadOnly: If the policy does not take the blob.
            StorageFull: If the disk is full.
        """
        found = await file.digest(digest.algorithm)
        if found != digest:
            await self.drop(ref.id.value)
            raise DigestInvalid(
                f"the bytes that were sent have digest {found}, not {digest}: send them again",
                detail={"expected": str(digest), "found": str(found), "size": file.size},
            )
        known = await self._database.read_one(partial(find_blob, digest=digest))
        commit = Commit(
            upload=ref.id.value,
            spare=upload_key(ref.id.value),
            repo=ref.repo,
            digest=digest,
            size=file.size,
            key=file.direct_key,
            leaves_spare=file.leaves_bytes,
            broken=None if known is None else await self._broken(known, file.size),
        )
        await self._commit(commit, file, recorded=recorded, known=known is not None)
        return BlobInfo(digest=digest, size=file.size)

    async def adopt(self, ref: UploadRef, digest: Digest, size: int) -> None:
        """Make bytes the repository's blob that are verified and durable under their final key.

        Raises:
            BlobUploadUnknown: If somebody dropped the upload meanwhile.
            QuotaExceeded, ReadOnly: If the policy does not take the blob.
        """
        known = await self._database.read_one(partial(find_blob, digest=digest))
        commit = Commit(
            upload=ref.id.value,
            spare=upload_key(ref.id.value),
            repo=ref.repo,
            digest=digest,
            size=size,
            key=blob_key(digest, ref.id.value),
            broken=None if known is None else await self._broken(known, size),
        )
        await self._end(commit, await self._u4(commit))

    async def _broken(self, known: BlobRow, size: int) -> str | None:
        """Key of bytes that are meant to be this blob's, but are not; a push repairs that."""
        is_whole = known.size == size and await self._store.size(known.key) == size
        return None if is_whole else known.key

    async def _commit(
        self, commit: Commit, file: UploadBytes, *, recorded: bool, known: bool
    ) -> None:
        """U3 and U4; bytes that are there already need no U3."""
        outcome = Committed.NEEDS_BYTES
        if known or commit.key is not None:
            outcome = await self._u4(commit)
        if outcome is Committed.NEEDS_BYTES:
            key = await self._u3(commit, file, recorded=recorded)
            commit = replace(commit, key=key)
            outcome = await self._u4(commit)
        await self._end(commit, outcome)

    async def _end(self, commit: Commit, outcome: Committed) -> None:
        await self._clean_up(commit, outcome)
        if outcome in (Committed.LOST, Committed.TAKEN):
            raise upload_unknown()

    async def _clean_up(self, commit: Commit, outcome: Committed) -> None:
        """Delete what U4 has buried; its tombstone sees to it that it is gone for good."""
        if outcome is Committed.STORED and not commit.leaves_spare:
            return
        is_ours = outcome in (Committed.STORED, Committed.TAKEN)
        keys = [commit.spare] if is_ours or commit.key is None else [commit.spare, commit.key]
        await self._store.discard(keys)

    async def _u3(self, commit: Commit, file: UploadBytes, *, recorded: bool) -> str:
        """U3: make the bytes durable under their final key, which is written down before."""
        key = blob_key(commit.digest, commit.upload)
        self._failpoint("U3.record")
        record = partial(record_digest, upload=commit.upload, digest=commit.digest)
        known = recorded or await self._database.write(record)
        self._failpoint("U3.publish")
        if not known or not await file.publish(key):
            await self._store.delete([commit.spare])
            raise upload_unknown()
        return key

    async def _u4(self, commit: Commit) -> Committed:
        self._failpoint("U4")
        try:
            outcome = await self._changes.write(partial(commit_upload, commit=commit))
        except (QuotaExceeded, ReadOnly):
            refuse = partial(refuse_upload, commit=commit)
            await self._store.delete(await self._database.write(refuse))
            raise
        self._failpoint("U4.done")
        return outcome

    async def drop(self, upload: str) -> bool:
        """End an upload for good: rows first, under tombstones, then its bytes.

        Returns:
            False if it had ended already.
        """
        dropped = await self._database.write(partial(drop_upload, upload=upload))
        if dropped is None:
            return False
        await self._store.delete(dropped.keys)
        return True
