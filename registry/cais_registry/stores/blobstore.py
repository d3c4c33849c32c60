# SPDX-License-Identifier: Apache-2.0
"""What every store of bytes can do: files of a volume, or objects of a bucket (docs/adr/0012).

A storage key is written once and never used again. Bytes are durable when `publish` or `write`
returns. `tests/contract/test_blobstore.py` is the contract in code.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import Executor
from typing import TYPE_CHECKING, Protocol, TypeAlias

from cais_registry.model.digest import Digest
from cais_registry.model.space import Space

if TYPE_CHECKING:
    from hashlib import _Hash


class Busy(Exception):  # noqa: N818 - reads as the condition it is
    """Another request has the upload open."""


class OpenBytes(Protocol):
    """Bytes under a key, opened for reading.

    Attributes:
        size: In bytes.
        fd: A file descriptor, the fast way to send them; None where there is no file.
    """

    @property
    def size(self) -> int:
        """In bytes."""

    @property
    def fd(self) -> int | None:
        """A file descriptor, if there is a file."""

    def read(self, start: int, length: int) -> AsyncGenerator[bytes, None]:
        """Stream a part in pieces of bounded size; closing the iterator ends the reading.

        Raises:
            StorageUnavailable: If the store does not answer.
        """

    def close(self) -> None:
        """Give up what reading needs."""


class UploadBytes(Protocol):
    """The bytes of one upload, open for one request of this process.

    Attributes:
        size: Bytes so far.
        direct_key: The final key, where the bytes are sent straight to it; None elsewhere.
        leaves_bytes: Whether there are bytes under the upload's own key after `publish`.
    """

    @property
    def size(self) -> int:
        """In bytes."""

    @property
    def direct_key(self) -> str | None:
        """The final key, if the bytes go straight to it."""

    @property
    def leaves_bytes(self) -> bool:
        """Whether bytes stay under the own key."""

    @property
    def hasher(self) -> tuple[_Hash, int] | None:
        """What has seen every byte, with their number; to go on with in the next request."""

    def hash_with(self, algorithm: str) -> None:
        """Hash from the first byte on, if no byte is there yet."""

    async def write(self, pieces: Sequence[bytes]) -> None:
        """Begin to append pieces, after those before are written.

        Raises:
            StorageFull: If the store is full; what fitted is kept.
            StorageUnavailable: If the store does not answer.
        """

    async def flush(self) -> None:
        """Wait until all is handed over (not: durable). Raises like `write`."""

    async def settle(self) -> str:
        """End this request's part; returns what any process needs to go on. Raises like `write`.

        The caller keeps the text with the upload's row. Files need none: it is empty for them.
        """

    async def take_back(self) -> None:
        """Drop this request's part: another one went on with the upload meanwhile."""

    async def digest(self, algorithm: str) -> Digest:
        """The digest of all bytes; computed anew where it was not along the way."""

    async def publish(self, key: str) -> bool:
        """Make all bytes readable under their final key, durably. Raises like `write`.

        Returns:
            False if the bytes are gone: somebody dropped them.
        """

    def close(self) -> None:
        """End the request's hold on the upload."""


class BlobStore(Protocol):
    """Bytes under storage keys."""

    async def size(self, key: str) -> int | None:
        """Size of the bytes under a key, None if there are none."""

    async def open(self, key: str) -> OpenBytes | None:
        """Open the bytes under a key for reading; None if there are none."""

    async def write(self, key: str, content: bytes) -> None:
        """Write a few bytes durably; what is there is written anew.

        Raises:
            StorageFull: If the store is full.
            StorageUnavailable: If the store does not answer.
        """

    async def delete(self, keys: Sequence[str]) -> list[str]:
        """R1: delete the bytes under keys, durably; an upload's key stands for all its parts.

        Returns:
            The keys under which there are no bytes now; those that failed are tried again later.
        """

    async def discard(self, keys: Sequence[str]) -> None:
        """Delete bytes ahead of R1, which does so again: neither durably nor for certain."""

    async def keys(self, prefix: str, after: str, limit: int) -> list[tuple[str, int]]:
        """List keys in byte order, with sizes; how fsck sees what is there.

        Args:
            prefix: A folder: `blobs`, `manifests` or `uploads`.
            after: Only keys after this one; empty begins at the start.
            limit: Most keys to return.
        """

    async def digest(self, key: str, algorithm: str) -> Digest | None:
        """Read and hash the bytes under a key; None if there are none.

        Raises:
            StorageUnavailable: If the store does not answer.
        """

    async def set_aside(self, key: str) -> str | None:
        """Move damaged bytes where nothing finds them any more; they are kept for people.

        Returns:
            Where they are now; None if they were gone already.
        """

    async def open_upload(
        self, upload: str, *, state: str, hasher: tuple[_Hash, int] | None, final: str | None
    ) -> UploadBytes:
        """Open (or make) the bytes of an upload.

        Args:
            upload: Its name.
            state: What `settle` returned last; empty at the beginning.
            hasher: What has seen the first so many bytes.
            final: Where the bytes are meant to end, if that is known and nobody else sends any.

        Raises:
            Busy: If another request has it open.
        """

    def upload_size(self, upload: str, state: str) -> int:
        """Bytes of an upload that were received."""

    def is_busy(self, upload: str, final: str | None) -> bool:
        """Whether some request has an upload open, as far as this process can see."""

    def check_room(self, size: int) -> None:
        """Refuse to write so many bytes where only the reserve for deletions is left.

        Raises:
            StorageFull: If they do not fit.
        """

    def space(self) -> Space | None:
        """Room that is left; None where there is no such limit."""

    async def check(self) -> None:
        """See whether the store answers.

        Raises:
            StorageUnavailable: If not; the message says why.
        """

    async def link(self, key: str) -> str | None:
        """An address at which a client may read the bytes itself for a while; None: not here."""


MakeStore: TypeAlias = Callable[[Executor], BlobStore]
"""Opens a store, whose work that waits goes to the threads given."""
