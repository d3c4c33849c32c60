# SPDX-License-Identifier: Apache-2.0
"""What `Manifests` tells."""

from __future__ import annotations

from dataclasses import dataclass

from cais_registry.model.digest import Digest
from cais_registry.model.names import Tag


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredManifest:
    """A manifest exactly as it was pushed.

    Attributes:
        digest: Its content address.
        media_type: What it was pushed as.
        content: The bytes.
    """

    digest: Digest
    media_type: str
    content: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestInfo:
    """A manifest without its bytes.

    Attributes:
        digest: Its content address.
        media_type: What it was pushed as.
        size: In bytes.
    """

    digest: Digest
    media_type: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PutResult:
    """What a push of a manifest did.

    Attributes:
        digest: The manifest's content address.
        subject: The manifest it refers to, if any (`OCI-Subject`).
        tags: The tags that point to it because of this push.
        previous: Digest that each of them pointed at before, None for a new one.
    """

    digest: Digest
    subject: Digest | None
    tags: tuple[Tag, ...]
    previous: tuple[str | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Removed:
    """What a deletion did.

    Attributes:
        digest: The manifest that was deleted, or that the deleted tag pointed at.
        tags: The tags that went.
    """

    digest: str
    tags: tuple[str, ...]
