# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

from cais_registry.model.errors import RangeInvalid, SizeInvalid
from cais_registry.services.room import Room
from cais_registry.stores.blobstore import UploadBytes

_GATHER: Final = 256 * 1024
"""Bytes that are gathered before a thread is asked to write and hash them."""


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


async def receive(file: UploadBytes, chunk: Chunk, room: Room | None) -> None:
    """Append a chunk; what came before the client went, or the disk was full, is kept.

    Args:
        file: The upload.
        chunk: The bytes.
        room: How large the upload may become; None for no limit.

    Raises:
        RangeInvalid: If the chunk does not begin where the upload ends.
        SizeInvalid: If fewer or more bytes came than were declared.
        QuotaExceeded: As soon as it is clear that the quota does not take them.
        StorageFull: If the disk is full.
    """
    begin = _begin(file, chunk, room)
    pieces: list[bytes] = []
    gathered = total = 0
    try:
        async for piece in chunk.body:
            total += len(piece)
            if chunk.length is not None and total > chunk.length:
                raise SizeInvalid(f"more than the declared {chunk.length} bytes came: declare all")
            if room is not None:
                room.check(begin + total)
            pieces.append(piece)
            gathered += len(piece)
            if gathered >= _GATHER:
                await file.write(pieces)
                pieces, gathered = [], 0
    finally:
        if pieces:
            await file.write(pieces)
        await file.flush()
    if chunk.length is not None and total < chunk.length:
        raise SizeInvalid(
            f"only {total} of the declared {chunk.length} bytes came: go on, or begin anew",
            detail={"declared": chunk.length, "received": file.size - begin},
        )


def _begin(file: UploadBytes, chunk: Chunk, room: Room | None) -> int:
    """Where a chunk begins; what can be refused before a byte of it is read, is refused."""
    if chunk.start is not None and chunk.start != file.size:
        message = f"the chunk begins at {chunk.start}, the upload goes on at {file.size}: send that"
        raise RangeInvalid(message, offset=file.size)
    if room is not None:
        room.check(file.size + (chunk.length or 0))
    return file.size
