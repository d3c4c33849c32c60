# SPDX-License-Identifier: Apache-2.0
"""Builds the services over one data folder; the app calls it once per worker."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cais_registry.model.policy import Policy
from cais_registry.services.blobs import Blobs
from cais_registry.services.collector import GarbageCollector
from cais_registry.services.housekeeping import Housekeeping
from cais_registry.services.listings import Catalog, Referrers, Tags
from cais_registry.services.manifests import Manifests
from cais_registry.services.uploads import Uploads
from cais_registry.services.usage import Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Core:
    """All services of one open data folder."""

    blobs: Blobs
    uploads: Uploads
    manifests: Manifests
    tags: Tags
    catalog: Catalog
    referrers: Referrers
    usage: Usage
    collector: GarbageCollector
    housekeeping: Housekeeping

    async def ready(self) -> bool:
        """Tell whether reads are served: the database answers."""
        raise NotImplementedError

    async def close(self) -> None:
        """Stop background work and close the database; a run that goes is marked Failed."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What clients may ask for.

    Attributes:
        manifest_bytes: Largest manifest that is taken.
        manifest_references: Most descriptors in one manifest.
        tags_per_push: Most tags in one push.
        sparse_indexes: Take an index whose manifests the repository does not all have.
    """

    manifest_bytes: int = 4 * 1024 * 1024
    manifest_references: int = 10_000
    tags_per_push: int = 100
    sparse_indexes: bool = False


async def open_core(
    data: Path, *, policy: Callable[[], Policy], limits: Limits | None = None
) -> Core:
    """Open (or lay out) a data folder and build the services over it.

    Call it inside the running event loop of the worker. The volume's lock is the business of the
    caller (`cais_registry.stores.layout.lock`), taken before the workers start.

    Args:
        data: The folder; made when missing.
        policy: Gives the times to keep to; asked anew at each use, so it may change.
        limits: What clients may ask for.

    Raises:
        UnusableData: If the folder cannot be used: a network file system, a newer schema, no
            permission, a damaged database. The message is one line for the person who starts it.
    """
    raise NotImplementedError
