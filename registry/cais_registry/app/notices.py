# SPDX-License-Identifier: Apache-2.0
"""What whoever pushes should pass on to whoever runs the registry."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Final

from cais_registry.app.certificates import Validity
from cais_registry.model.space import Space

KEPT_SECONDS: Final = 2.0
LEAST_VALID: Final = 0.1
"""Of a certificate's life; with less, whatever renews it has had its time."""


class Notices:
    """Looks at what can go wrong soon; what was seen is good for a few seconds.

    No path, name or number of the inside is in a notice: clients show it to anyone.
    """

    def __init__(
        self,
        *,
        space: Callable[[], Space | None],
        validity: Validity | None,
        error: Callable[[], str | None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Prepare.

        Args:
            space: Of the volume, None without one.
            validity: Of the certificate that is served, None without.
            error: Why a changed file is not taken, None when all are.
            clock: Seconds since 1970.
        """
        self._space = space
        self._validity = validity
        self._error = error
        self._clock = clock
        self._seen: tuple[float, tuple[str, ...]] | None = None

    def __call__(self) -> tuple[str, ...]:
        """The notices of this moment; nearly always none."""
        now = self._clock()
        if self._seen is None or not 0 <= now - self._seen[0] < KEPT_SECONDS:
            self._seen = (now, tuple(self._look(now)))
        return self._seen[1]

    def _look(self, now: float) -> Iterator[str]:
        space = self._space()
        if space is not None and space.is_low:
            free = 100 * space.available // space.capacity
            yield (
                f"the registry's volume is nearly full, {free}% are free: "
                "tell whoever runs it, or delete images that nobody needs"
            )
        valid = self._validity
        if valid is not None and valid.end - now < (valid.end - valid.begin) * LEAST_VALID:
            word = "has expired" if valid.end <= now else "expires soon"
            yield f"the registry's certificate {word} ({_day(valid.end)}): tell whoever runs it"
        if self._error() is not None:
            yield (
                "the registry does not take a changed file of its configuration and goes on with "
                "the one before: tell whoever runs it to look into its log"
            )


def _day(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(seconds))
