# SPDX-License-Identifier: Apache-2.0
"""Durations as Go writes them, in the part that Cais accepts: hours, minutes, seconds."""

import re
from dataclasses import dataclass
from datetime import timedelta

PATTERN = r"^([0-9]{1,6}h)?([0-9]{1,6}m)?([0-9]{1,6}s)?$"
RULE = "must be a duration of hours, minutes and seconds, such as 24h, 90m or 0s"


@dataclass(frozen=True, slots=True, order=True)
class Duration:
    """A length of time in whole seconds; equal durations are equal however they were written."""

    seconds: int

    @classmethod
    def parse(cls, text: str) -> "Duration":
        """Read `24h`, `1h30m`, `0s`.

        Raises:
            ValueError: With the rule that was broken.
        """
        found = re.fullmatch(PATTERN, text)
        if not text or found is None:
            raise ValueError(RULE)
        hours, minutes, seconds = (int(part[:-1]) if part else 0 for part in found.groups())
        return cls(hours * 3600 + minutes * 60 + seconds)

    @property
    def delta(self) -> timedelta:
        """The same as a timedelta."""
        return timedelta(seconds=self.seconds)

    def __str__(self) -> str:
        """Return the shortest writing: `24h`, `1h30m`, `0s`."""
        hours, rest = divmod(self.seconds, 3600)
        minutes, seconds = divmod(rest, 60)
        parts = ((hours, "h"), (minutes, "m"), (seconds, "s"))
        return "".join(f"{count}{unit}" for count, unit in parts if count) or "0s"
