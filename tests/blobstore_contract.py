# SPDX-License-Identifier: Apache-2.0
"""What every store of bytes has to do; each store's test file runs all of it."""

from __future__ import annotations

import secrets

import pytest

from cais_registry.model.digest import Digest
from cais_registry.stores.blobstore import BlobStore, Busy
from cais_registry.stores.layout import blob_key, upload_key


async def content_of(
    store: BlobStore, key: str, start: int = 0, length: int | None = None
) -> bytes:
    opened = await store.open(key)
    assert opened is not None
    try:
        wanted = opened.size - start if length is None else length
        return b"".join([piece async for piece in opened.read(start, wanted)])
    finally:
        opened.close()


async def upload(store: BlobStore, name: str, *chunks: bytes) -> Digest:
    """Send each chunk in a request of its own, then publish; returns the digest."""
    state = ""
    for chunk in chunks:
        file = await store.open_upload(name, state=state, hasher=None, final=None)
        file.hash_with("sha256")
        for begin in range(0, len(chunk), 300_000):
            await file.write([chunk[begin : begin + 300_000]])
        await file.flush()
        state = await file.settle()
        file.close()
    file = await store.open_upload(name, state=state, hasher=None, final=None)
    assert file.size == sum(map(len, chunks)) == store.upload_size(name, state)
    digest = await file.digest("sha256")
    assert await file.publish(blob_key(digest, name))
    file.close()
    await store.delete([upload_key(name)])
    return digest


class BlobStoreContract:
    async def test_small_content_is_written_read_and_deleted(self, store: BlobStore) -> None:
        key = f"manifests/sha256/ab/{secrets.token_hex(32)}/1"
        assert await store.size(key) is None
        assert await store.open(key) is None
        await store.write(key, b"first")
        await store.write(key, b"second")
        assert await store.size(key) == 6
        assert await content_of(store, key) == b"second"
        assert await store.delete([key, "blobs/sha256/no/no/no"]) == [key, "blobs/sha256/no/no/no"]
        assert await store.size(key) is None
        await store.write(key, b"third")
        await store.discard([key, "blobs/sha256/no/no/no"])
        assert await store.size(key) is None

    @pytest.mark.parametrize("sizes", [(), (1,), (7_000_000,), (3, 6_000_000, 5)])
    async def test_an_upload_in_some_requests_becomes_a_blob(
        self, store: BlobStore, sizes: tuple[int, ...]
    ) -> None:
        chunks = [secrets.token_bytes(size) for size in sizes]
        name, whole = secrets.token_hex(16), b"".join(chunks)
        digest = await upload(store, name, *chunks)
        assert digest == Digest.of(whole)
        key = blob_key(digest, name)
        assert await content_of(store, key) == whole
        if len(whole) > 10:
            assert await content_of(store, key, 5, len(whole) - 7) == whole[5:-2]
        assert [k for k, _ in await store.keys("uploads", "", 1000) if name in k] == []

    async def test_one_request_at_a_time_has_an_upload(self, store: BlobStore) -> None:
        name = secrets.token_hex(16)
        file = await store.open_upload(name, state="", hasher=None, final=None)
        assert store.is_busy(name, None)
        with pytest.raises(Busy):
            await store.open_upload(name, state="", hasher=None, final=None)
        file.close()
        assert not store.is_busy(name, None)
        await store.delete([upload_key(name)])

    async def test_keys_are_listed_in_pages_and_in_order(self, store: BlobStore) -> None:
        folder = f"manifests/sha256/{secrets.token_hex(4)}"
        wanted = sorted(f"{folder}/{n % 3}/{secrets.token_hex(4)}" for n in range(10))
        for key in wanted:
            await store.write(key, b"12")
        found: list[tuple[str, int]] = []
        while page := await store.keys(folder, found[-1][0] if found else "", 3):
            assert len(page) <= 3
            found += page
        assert found == [(key, 2) for key in wanted]
