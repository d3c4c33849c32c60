# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The times that garbage collection keeps to; they may change while the server runs.

    Attributes:
        push_lease: What a pusher was told exists is kept for so long.
        undelete_window: What was deleted can come back for so long.
        upload_ttl: An upload that nobody writes to is dropped after so long.
    """

    push_lease: timedelta = timedelta(hours=24)
    undelete_window: timedelta = timedelta(hours=24)
    upload_ttl: timedelta = timedelta(hours=24)
