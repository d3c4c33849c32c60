# SPDX-License-Identifier: Apache-2.0
"""What a store of bytes lists, page by page, in the order of keys."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Final

from cais_registry.model.digest import Digest
from cais_registry.model.errors import DigestInvalid, StorageUnavailable
from cais_registry.stores.blobstore import BlobStore

UPLOADS: Final = "uploads"
_PAGE: Final = 1000
_PARTS: Final = 5
_LARGEST_COPY: Final = 64 * 1024 * 1024

Keys = list[tuple[str, int]]
"""Storage keys and sizes in bytes."""


async def pages(store: BlobStore, folder: str, size: int = _PAGE) -> AsyncIterator[Keys]:
    """All keys of a folder (`blobs`, `manifests` or `uploads`), at most so many at once."""
    after = ""
    while found := await store.keys(folder, after, size):
        after = found[-1][0]
        yield found


async def by_digest(store: BlobStore, folder: str) -> AsyncIterator[tuple[Digest, Keys]]:
    """What is under each digest; keys of another form are left out.

    Args:
        store: The bytes.
        folder: `blobs` or `manifests`.
    """
    last, keys = None, Keys()
    async for page in pages(store, folder):
        for key, size in page:
            digest = _digest(key)
            if digest is None:
                continue
            if last is not None and digest != last:
                yield last, keys
                keys = []
            last = digest
            keys.append((key, size))
    if last is not None:
        yield last, keys


def whole(found: Keys) -> Keys:
    """Parts of an upload stand for the upload, by whose key they are named and deleted."""
    sizes: Counter[str] = Counter()
    for key, size in found:
        is_part = key.startswith(f"{UPLOADS}/")
        sizes["/".join(key.split("/")[:2]) if is_part else key] += size
    return list(sizes.items())


async def copy_of_manifest(store: BlobStore, key: str) -> bytes | None:
    """The bytes of a copy, only as many of them as one may have; None if there are none.

    Raises:
        StorageUnavailable: If the store does not answer.
    """
    opened = await store.open(key)
    if opened is None:
        return None
    try:
        length = min(opened.size, _LARGEST_COPY)
        return b"".join([piece async for piece in opened.read(0, length)])
    except StorageUnavailable:
        if await store.size(key) is None:
            return None  # collected meanwhile
        raise
    finally:
        opened.close()


def _digest(key: str) -> Digest | None:
    """`blobs/<algorithm>/<ab>/<abcdef...>/<unique>`, see `stores/layout.py`."""
    parts = key.split("/")
    if len(parts) == _PARTS:
        with suppress(DigestInvalid):
            return Digest.parse(f"{parts[1]}:{parts[3]}")
    return None
