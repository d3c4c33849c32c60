# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from cais_registry.model.digest import Digest, UploadId
from cais_registry.model.names import RepoName
from cais_registry.services.blobs import BlobInfo


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """Bytes on their way in.

    Attributes:
        body: The bytes; read only as fast as they can be written. It raises when the client goes.
        start: Where the client says the chunk begins; None appends.
        length: Bytes that were declared; None when not known.
    """

    body: AsyncIterator[bytes]
    start: int | None = None
    length: int | None = None


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
        """
        raise NotImplementedError

    async def status(self, ref: UploadRef) -> UploadStatus:
        """Tell how far an upload is (end-13).

        Raises:
            BlobUploadUnknown: If there is no such upload for this user and repository.
        """
        raise NotImplementedError

    async def append(self, ref: UploadRef, chunk: Chunk) -> UploadStatus:
        """Receive a chunk (end-5).

        What arrived before the body fails or ends early is kept, and the error goes on.

        Raises:
            BlobUploadUnknown: If there is no such upload for this user and repository.
            RangeInvalid: If the chunk does not begin where the upload ends.
            UploadBusy: If another request is writing to this upload.
            SizeInvalid: If fewer or more bytes came than were declared.
            StorageFull: If the disk is full.
        """
        raise NotImplementedError

    async def finish(self, ref: UploadRef, digest: Digest, chunk: Chunk | None = None) -> BlobInfo:
        """Receive the last chunk, if any, and make the blob the repository's (end-6).

        When it returns, bytes and metadata survive a power loss.

        Raises:
            DigestInvalid: If the bytes have another digest; the upload is dropped.
            BlobUploadUnknown: If there is no such upload for this user and repository.
            RangeInvalid: If the chunk does not begin where the upload ends.
            UploadBusy: If another request is writing to this upload.
            SizeInvalid: If fewer or more bytes came than were declared; what came is kept.
            StorageFull: If the disk is full.
        """
        raise NotImplementedError

    async def push(
        self, repo: RepoName, principal: str | None, digest: Digest, chunk: Chunk
    ) -> BlobInfo:
        """Receive a whole blob in one request (end-4b); a failure leaves nothing behind.

        Raises:
            DigestInvalid: If the bytes have another digest.
            SizeInvalid: If fewer or more bytes came than were declared.
            StorageFull: If the disk is full.
        """
        raise NotImplementedError

    async def cancel(self, ref: UploadRef) -> None:
        """Drop an upload and its bytes (end-14), also while another request writes to it.

        Raises:
            BlobUploadUnknown: If there is no such upload for this user and repository.
        """
        raise NotImplementedError
