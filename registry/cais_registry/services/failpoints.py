# SPDX-License-Identifier: Apache-2.0
"""Named places at which a test can stop the program, to see that nothing is lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

Failpoint: TypeAlias = Callable[[str], None]
"""Called with a step's name before the step is done (docs/adr/0006 names the steps)."""


def no_failpoint(step: str) -> None:
    """Go on: what runs outside of tests."""
