# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from cais_registry.model.digest import Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Deleted:
    """A tag or a manifest that was deleted and can still come back.

    Attributes:
        reference: The tag's name, or the manifest's digest.
        digest: The manifest; for a tag the one that it pointed at.
        deleted_at: When it was deleted.
        reason: What deleted it.
    """

    reference: str
    digest: str
    deleted_at: datetime
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What was brought back; nothing but the digest if all was there already.

    Attributes:
        digest: The manifest that was asked for, or that the tag points at.
        tags: Tags that point at it again.
        taken: Tags that were deleted with it and point at another manifest now; left so.
        manifests: How many manifests came back: itself, and what a deleted index lists.
    """

    digest: Digest
    tags: tuple[str, ...] = ()
    taken: tuple[str, ...] = ()
    manifests: int = 0
