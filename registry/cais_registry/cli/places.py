# SPDX-License-Identifier: Apache-2.0
"""Where the rows and bytes of a stopped server are, by its folder or its configuration file."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cais_registry.config.document import Storage
    from cais_registry.stores.blobstore import MakeStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where rows and bytes are.

    Attributes:
        data: The data folder.
        database_url: How PostgreSQL is reached; None for SQLite in the folder.
        store: Makes the store of bytes; None for the files of the folder.
        bytes_in: What the store of bytes is called.
    """

    data: Path
    database_url: str | None = None
    store: MakeStore | None = None
    bytes_in: str

    @property
    def is_shared(self) -> bool:
        """Whether nothing is in the folder: several servers use such a place, so a check may."""
        return self.database_url is not None and self.store is not None


def named(options: argparse.Namespace) -> Place:
    """The place that `--config` or `--data` names.

    Raises:
        ConfigError: If the configuration file cannot be used.
    """
    if options.config is not None:
        return _configured(options.config)
    data = Path(options.data).absolute()
    return Place(data=data, bytes_in=str(data))


def _configured(config: str) -> Place:
    from cais_registry.app import objects  # noqa: PLC0415 - other commands need no store
    from cais_registry.app.files import Files  # noqa: PLC0415 - see above
    from cais_registry.config.settings import Flags  # noqa: PLC0415 - see above

    files = Files(Path(config), Flags())
    settings = files.loaded.settings
    return Place(
        data=settings.data,
        database_url=files.database_url(),
        store=objects.opener(settings.storage),
        bytes_in=_bucket(settings.storage) or str(settings.data),
    )


def _bucket(storage: Storage | None) -> str | None:
    if storage is None:
        return None
    below = f" below {storage.s3.prefix}/" if storage.s3.prefix else ""
    return f"the bucket {storage.s3.bucket}{below}"
