# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from cais_registry.model.digest import Digest
from cais_registry.model.manifest import Manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class NewManifest:
    """A manifest that is pushed.

    Attributes:
        digest: Of its bytes.
        media_type: What it is pushed as.
        artifact_type: What a listing of referrers says it is.
        subject: What it refers to.
        annotations: As JSON, for listings of referrers.
        content: Its bytes.
        key: Storage key for the copy beside the blobs, new.
        needed: Blobs that the repository must have.
        children: Entries of an index: manifests, or blobs, that the repository must have.
        optional: Content that need not be here, but is kept when it is.
        sparse: Whether what is needed may be missing; it is kept when it comes.
    """

    digest: Digest
    media_type: str
    artifact_type: str | None
    subject: Digest | None
    annotations: str
    content: bytes
    key: str
    needed: Sequence[Digest]
    children: Sequence[Digest]
    optional: Sequence[Digest]
    sparse: bool

    @classmethod
    def of(
        cls, parsed: Manifest, digest: Digest, content: bytes, *, key: str, sparse: bool
    ) -> NewManifest:
        """What is stored of a manifest that was read."""
        return cls(
            digest=digest,
            media_type=parsed.media_type,
            artifact_type=parsed.artifact_type,
            subject=parsed.subject,
            annotations=json.dumps(dict(parsed.annotations)),
            content=content,
            key=key,
            needed=parsed.blobs,
            children=parsed.children,
            optional=parsed.optional,
            sparse=sparse,
        )
