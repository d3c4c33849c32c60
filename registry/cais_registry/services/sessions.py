# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator
from concurrent.futures import Executor
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Final

from cais_registry.model.errors import BlobUploadUnknown, UploadBusy
from cais_registry.services.publisher import UploadRef, upload_unknown
from cais_registry.stores.database import Database
from cais_registry.stores.files import Files
from cais_registry.stores.layout import upload_key
from cais_registry.stores.upload_file import Busy, UploadFile
from cais_registry.stores.upload_rows import UploadRow, find_upload

if TYPE_CHECKING:
    from hashlib import _Hash

_KEPT_HASHERS: Final = 1024


class Sessions:
    """Opens uploads for one request at a time, and keeps their hashes between requests."""

    def __init__(self, database: Database, files: Files, pool: Executor) -> None:
        self._database = database
        self._files = files
        self._pool = pool
        self._hashers: OrderedDict[str, tuple[_Hash, int]] = OrderedDict()

    async def find(self, ref: UploadRef) -> UploadRow:
        """The row of an upload.

        Raises:
            BlobUploadUnknown: If it ended, has expired, or belongs to somebody else.
        """
        row = await self._database.read(
            partial(find_upload, upload=ref.id.value, repo=ref.repo, principal=ref.principal)
        )
        if row is None or row.expires_at <= self._database.now():
            raise upload_unknown()
        return row

    def size(self, ref: UploadRef) -> int:
        """Bytes of an upload that were received."""
        return self._files.size(upload_key(ref.id.value)) or 0

    @asynccontextmanager
    async def opened(self, ref: UploadRef) -> AsyncIterator[tuple[UploadRow, UploadFile]]:
        """Open and lock an upload for one request.

        Raises:
            BlobUploadUnknown: If it ended, has expired, or belongs to somebody else.
            UploadBusy: If another request has it open.
        """
        await self.find(ref)  # before a file is made for an id that is not ours
        file = self._open(ref)
        try:
            yield await self._look_again(ref), file
        finally:
            self._keep(ref, file)
            file.close()

    def _open(self, ref: UploadRef) -> UploadFile:
        upload = ref.id.value
        try:
            path = self._files.path(upload_key(upload))
            return UploadFile(path, self._pool, self._hashers.pop(upload, None))
        except Busy:
            message = "another request is writing to this upload: ask for its state and go on"
            raise UploadBusy(message, offset=self.size(ref)) from None

    async def _look_again(self, ref: UploadRef) -> UploadRow:
        """What was dropped just before its file was locked must not come back as a file."""
        try:
            return await self.find(ref)
        except BlobUploadUnknown:
            await asyncio.to_thread(self._files.delete, [upload_key(ref.id.value)])
            raise

    def _keep(self, ref: UploadRef, file: UploadFile) -> None:
        if file.hasher is not None:
            self._hashers[ref.id.value] = file.hasher
            if len(self._hashers) > _KEPT_HASHERS:
                self._hashers.popitem(last=False)

    def forget(self, ref: UploadRef) -> None:
        """Forget the hash of an upload that has ended."""
        self._hashers.pop(ref.id.value, None)
