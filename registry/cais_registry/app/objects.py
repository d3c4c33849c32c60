# SPDX-License-Identifier: Apache-2.0
"""The object store that the settings name; its keys come from files only."""

from __future__ import annotations

from concurrent.futures import Executor
from pathlib import Path
from typing import Final

from cais_registry.config.document import S3, Storage
from cais_registry.config.errors import ConfigError
from cais_registry.stores.blobstore import BlobStore, MakeStore
from cais_registry.stores.bucket import Bucket, S3Access, connect

_LONGEST: Final = 1024 * 1024


def access(s3: S3) -> S3Access:
    """Read the files that the settings name.

    Raises:
        ConfigError: If one cannot be read, or is empty.
    """
    return S3Access(
        bucket=s3.bucket,
        endpoint=s3.endpoint,
        region=s3.region,
        prefix=s3.prefix,
        access_key=_read("accessKeyFile", s3.access_key_file).decode("latin-1"),
        secret_key=_read("secretKeyFile", s3.secret_key_file).decode("latin-1"),
        ca=None if s3.ca_file is None else _read("caFile", s3.ca_file),
    )


def opener(storage: Storage | None) -> MakeStore | None:
    """What makes the store; None for files in the data folder.

    Raises:
        ConfigError: If a file that the settings name cannot be used.
    """
    if storage is None:
        return None
    found, links = access(storage.s3), storage.s3.redirect

    def make(pool: Executor) -> BlobStore:
        from cais_registry.stores.object_store import ObjectStore  # noqa: PLC0415 - often not used

        return ObjectStore(Bucket(connect(found)), pool, links=links)

    return make


def _read(field: str, path: str) -> bytes:
    try:
        with Path(path).open("rb") as file:
            content = file.read(_LONGEST).strip()
    except OSError as error:
        reason = error.strerror or error
        raise ConfigError(f"storage.s3.{field}: {path} cannot be read: {reason}") from error
    if not content:
        raise ConfigError(f"storage.s3.{field}: {path} is empty")
    return content
