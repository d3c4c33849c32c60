# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import re
from datetime import timedelta
from typing import Final

from cais_registry.config.errors import ConfigError

_SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)(ms|s|m|h)")
_LONGEST: Final = timedelta(days=3660)


def parse(text: str) -> timedelta:
    """Read a duration as Go writes it: `24h`, `1h30m`, `0s`.

    Raises:
        ConfigError: If the text is something else, or more than about ten years.
    """
    seconds, position = 0.0, 0
    while found := _PART.match(text, position):
        seconds += float(found[1]) * _SECONDS[found[2]]
        position = found.end()
    if position == 0 or position != len(text):
        raise ConfigError(f"{text[:40]!r} is not a duration like 24h, 90m or 1h30m")
    if seconds > _LONGEST.total_seconds():
        raise ConfigError(f"{text[:40]!r} is more than ten years")
    return timedelta(seconds=seconds)
