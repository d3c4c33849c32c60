# SPDX-License-Identifier: Apache-2.0
"""Ranges and conditions of requests (RFC 9110, 13 and 14; distribution-spec, "Pulling blobs")."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from cais_registry.http.errors import RangeNotSatisfiable
from cais_registry.model.errors import BlobUploadInvalid

_BYTES: Final = re.compile(r"bytes=[ \t]*([0-9]{0,99})-([0-9]{0,99})", re.IGNORECASE)
_CHUNK: Final = re.compile(
    r"(?:bytes[ =])?([0-9]{1,18})-([0-9]{1,18})(?:/(?:[0-9]{1,18}|\*))?", re.IGNORECASE
)


def wanted(headers: Mapping[str, str], *, size: int, etag: str) -> tuple[int, int] | None:
    """Tell which part of a blob is asked for.

    Args:
        headers: By lower-case name.
        size: Bytes of the blob.
        etag: Its current entity tag, with quotes.

    Returns:
        First byte and length; None for the whole blob, which also answers several ranges, a
        header that is not understood, an `If-Range` that names something else, and any range of
        a blob without bytes (RFC 9110, 14.2: a server may ignore the header).

    Raises:
        RangeNotSatisfiable: If there is no such byte.
    """
    found = _BYTES.fullmatch(headers.get("range", "").strip())
    if found is None or size == 0 or headers.get("if-range", etag) != etag:
        return None
    first, last = found[1], found[2]
    if not first and not last:
        return None
    if not first:
        length = min(int(last), size)
        start = size - length
    else:
        start = int(first)
        if last and int(last) < start:
            raise RangeNotSatisfiable(size)
        length = (min(int(last), size - 1) if last else size - 1) - start + 1
    if length <= 0:
        raise RangeNotSatisfiable(size)
    return start, length


def is_unchanged(headers: Mapping[str, str], etag: str) -> bool:
    """Tell whether the client already has this content (`If-None-Match`, weak comparison)."""
    given = headers.get("if-none-match")
    if given is None:
        return False
    tags = {tag.strip().removeprefix("W/") for tag in given.split(",")}
    return etag in tags or "*" in tags


def chunk(headers: Mapping[str, str]) -> tuple[int, int] | None:
    """Read the `Content-Range` of a chunk: `0-99` (distribution-spec) or `bytes 0-99/*`.

    Returns:
        First byte and length; None when there is no such header.

    Raises:
        BlobUploadInvalid: If it is not a range.
    """
    text = headers.get("content-range")
    if text is None:
        return None
    found = _CHUNK.fullmatch(text.strip())
    if found is None or int(found[2]) < int(found[1]):
        raise BlobUploadInvalid(
            f"Content-Range {text[:80]!r} is not <first byte>-<last byte>, like 0-1023"
        )
    return int(found[1]), int(found[2]) - int(found[1]) + 1
