# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Mapping

import msgspec


class Act(msgspec.Struct, frozen=True, kw_only=True):
    """Something that a request did and that the audit log tells; its handler says so.

    Attributes:
        event: Of the table in docs/configuration.md.
        repository: Where, unless the path says it.
        reference: Tag, digest or run that it was done to.
        digest: Manifest or blob that it was done to.
        previous_digest: What the tag pointed at before.
        source: Repository that a blob was taken over from, as the client named it.
        tags: Tags that went with a manifest.
        options: What was asked for.
    """

    event: str
    repository: str | None = None
    reference: str | None = None
    digest: str | None = None
    previous_digest: str | None = None
    source: str | None = None
    tags: tuple[str, ...] = ()
    options: Mapping[str, bool] | None = None
