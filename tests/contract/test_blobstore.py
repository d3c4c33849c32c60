# SPDX-License-Identifier: Apache-2.0
"""The contract of stores of bytes: files, and objects in memory. S3 is in the integration rung."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from obstore.store import MemoryStore

from blobstore_contract import BlobStoreContract
from cais_registry.stores.blobstore import BlobStore
from cais_registry.stores.bucket import Bucket
from cais_registry.stores.file_store import FileStore
from cais_registry.stores.files import Files
from cais_registry.stores.layout import make
from cais_registry.stores.object_store import ObjectStore


@pytest.fixture(params=["files", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[BlobStore]:
    with ThreadPoolExecutor(2) as pool:
        if request.param == "memory":
            yield ObjectStore(Bucket(MemoryStore()), pool)
        else:
            make(tmp_path)
            yield FileStore(Files(tmp_path), pool)


class TestStores(BlobStoreContract):
    pass
