# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Final

from cais_registry.model.errors import BlobUploadUnknown, UploadBusy
from cais_registry.services.publisher import UploadRef, upload_unknown
from cais_registry.stores.blobstore import BlobStore, Busy, UploadBytes
from cais_registry.stores.database import Database
from cais_registry.stores.layout import upload_key
from cais_registry.stores.upload_rows import UploadRow, find_upload, save_state

if TYPE_CHECKING:
    from hashlib import _Hash

_KEPT_HASHERS: Final = 1024


class Sessions:
    """Opens uploads for one request at a time, and keeps their hashes between requests."""

    def __init__(self, database: Database, store: BlobStore) -> None:
        self._database = database
        self._store = store
        self._hashers: OrderedDict[str, tuple[_Hash, int]] = OrderedDict()

    async def find(self, ref: UploadRef) -> UploadRow:
        """The row of an upload.

        Raises:
            BlobUploadUnknown: If it ended, has expired, or belongs to somebody else.
        """
        row = await self._database.read_one(
            partial(find_upload, upload=ref.id.value, repo=ref.repo, principal=ref.principal)
        )
        if row is None or row.expires_at <= self._database.now():
            raise upload_unknown()
        return row

    def size(self, row: UploadRow) -> int:
        """Bytes of an upload that were received."""
        return self._store.upload_size(row.id, row.state)

    @asynccontextmanager
    async def opened(
        self, ref: UploadRef, *, is_ours_alone: bool = False
    ) -> AsyncIterator[tuple[UploadRow, UploadBytes]]:
        """Open an upload for one request, and lock it as far as the store can.

        Args:
            ref: The upload.
            is_ours_alone: Nobody else knows its name: the bytes may go where they are to end.

        Raises:
            BlobUploadUnknown: If it ended, has expired, or belongs to somebody else.
            UploadBusy: If another request has it open.
        """
        row = await self.find(ref)  # before a file is made for an id that is not ours
        file = await self._open(row, row.final if is_ours_alone else None)
        try:
            yield await self._look_again(ref, row), file
        finally:
            self._keep(ref, file)
            file.close()

    async def _open(self, row: UploadRow, final: str | None) -> UploadBytes:
        hasher = self._hashers.pop(row.id, None)
        try:
            return await self._store.open_upload(
                row.id, state=row.state, hasher=hasher, final=final
            )
        except Busy:
            raise self._busy(row) from None

    def _busy(self, row: UploadRow) -> UploadBusy:
        message = "another request is writing to this upload: ask for its state and go on"
        return UploadBusy(message, offset=self.size(row))

    async def _look_again(self, ref: UploadRef, opened: UploadRow) -> UploadRow:
        """What was dropped just before its file was locked must not come back as a file."""
        try:
            row = await self.find(ref)
        except BlobUploadUnknown:
            await self._store.delete([upload_key(ref.id.value)])
            raise
        if row.state != opened.state:
            raise self._busy(row)
        return row

    async def save(self, ref: UploadRef, row: UploadRow, file: UploadBytes) -> None:
        """Write down what this request has added, so that any server can go on.

        Raises:
            BlobUploadUnknown: If the upload has ended meanwhile.
            UploadBusy: If another request was faster; what this one added is dropped.
            StorageUnavailable: If the store does not answer; what this one added is lost.
        """
        after = await file.settle()
        if after == row.state:
            return
        save = partial(save_state, upload=row.id, before=row.state, after=after)
        if not await self._database.write(save):
            await file.take_back()
            raise self._busy(await self.find(ref))

    def _keep(self, ref: UploadRef, file: UploadBytes) -> None:
        if file.hasher is not None:
            self._hashers[ref.id.value] = file.hasher
            if len(self._hashers) > _KEPT_HASHERS:
                self._hashers.popitem(last=False)

    def forget(self, ref: UploadRef) -> None:
        """Forget the hash of an upload that has ended."""
        self._hashers.pop(ref.id.value, None)
