# SPDX-License-Identifier: Apache-2.0
"""Whether a database and a store belong together, before one is rebuilt from the other."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Final

from cais_registry.stores.blobstore import BlobStore
from cais_registry.stores.database import Database
from cais_registry.stores.layout import UnusableData
from cais_registry.stores.rebuild_rows import keys_after

_BATCH: Final = 32
_FOLDERS: Final = ("blobs", "manifests")


async def check(
    database: Database, store: BlobStore, place: str, *, may_be_empty: bool, is_forced: bool
) -> None:
    """Refuse a store that has nothing of what the database names: all of it would be forgotten.

    No two registries have a key in common, as each has a random part.

    Args:
        database: The rows.
        store: The bytes.
        place: What the store is called.
        may_be_empty: Whether a database that names nothing is fine with a store that has nothing.
        is_forced: Whether somebody has said that the two belong together.

    Raises:
        UnusableData: If they do not belong together.
        StorageUnavailable: If the store does not answer.
    """
    await store.check()  # a bucket that is not there has no objects either, and says no more
    after, names_any = "", False
    while keys := await database.read(partial(keys_after, after=after, limit=_BATCH)):
        sizes = await asyncio.gather(*map(store.size, keys))
        if is_forced or any(size is not None for size in sizes):
            return
        after, names_any = keys[-1], True
    if names_any:
        raise UnusableData(
            f"{place} has nothing of what the database or its snapshot knows: is it another"
            " registry's? Where the bytes are in a bucket, `--config` names it."
            " `--force` does it all the same"
        )
    if not may_be_empty and not await _has_any(store):
        raise UnusableData(f"{place}: there is nothing of a registry in it")


async def _has_any(store: BlobStore) -> bool:
    return any([await store.keys(folder, "", 1) for folder in _FOLDERS])
