# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What clients may push.

    Attributes:
        manifest_bytes: Largest manifest that is taken.
        manifest_references: Most descriptors in one manifest.
        tags_per_push: Most tags in one push.
        sparse_manifests: Take manifests although the repository lacks some of what they refer to.
        open_uploads: Most uploads that are begun and not ended, of everyone.
        open_uploads_per_user: The same, of one user who has logged in.
    """

    manifest_bytes: int = 4 * 1024 * 1024
    manifest_references: int = 10_000
    tags_per_push: int = 100
    sparse_manifests: bool = False
    open_uploads: int = 10_000
    open_uploads_per_user: int = 1000
