# SPDX-License-Identifier: Apache-2.0
"""SQL for the times of promises to pushers (`touched_at`) and of their use (`bound_at`)."""

from __future__ import annotations

from typing import Final

AFTER_USE: Final = "CASE WHEN bound_at >= :now THEN bound_at + 1 ELSE :now END"
"""Time of a promise: after the use of the last one, also when the clock was set back."""

USE: Final = "CASE WHEN touched_at > :now THEN touched_at ELSE :now END"
"""Time of the use of a promise: not before the promise."""
