# SPDX-License-Identifier: Apache-2.0
"""SQL for the times of promises to pushers (`touched_at`) and of their use (`bound_at`)."""

from __future__ import annotations

from typing import Final

AFTER_USE: Final = "CASE WHEN bound_at >= :now THEN bound_at + 1 ELSE :now END"
"""Time of a promise: after the use of the last one, also when the clock was set back."""

USE: Final = "CASE WHEN touched_at > :now THEN touched_at ELSE :now END"
"""Time of the use of a promise: not before the promise."""


def promised_at(touched_at: int, bound_at: int) -> int:
    """Time of the promise that stands; 0 when a manifest has used it."""
    return touched_at if touched_at > bound_at else 0


def is_fresh(promised: int, *, now: int, lease: int) -> bool:
    """Whether a promise given now would add nothing to the one that stands.

    Args:
        promised: See `promised_at`.
        now: Microseconds since 1970.
        lease: `push_lease` in microseconds.
    """
    return promised > max(now - lease // 2, 0)
