# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Final, TextIO

from cais_registry.cli.usage import human

_EVERY_SECONDS: Final = 10.0


class Progress:
    """Shows how far a garbage collection is.

    On a terminal that is one line which changes; in a log, a line every ten seconds.
    """

    def __init__(self, out: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        """Prepare.

        Args:
            out: Where it is shown.
            clock: Gives seconds; only differences count.
        """
        self._out = out
        self._clock = clock
        self._is_terminal = out.isatty()
        self._next = clock() + _EVERY_SECONDS

    def show(self, report: Mapping[str, Any]) -> None:
        """Show a run that goes on, if it is time to."""
        text = (
            f"collecting garbage for {report['durationSeconds']:.0f} s: "
            f"{report['manifestsDeleted']} manifests and {report['blobsDeleted']} blobs so far, "
            f"{human(report['bytesReclaimed'])}"
        )
        if self._is_terminal:
            print(f"\r{text} ", end="", file=self._out, flush=True)
        elif self._clock() >= self._next:
            self._next += _EVERY_SECONDS
            print(text, file=self._out, flush=True)

    def end(self) -> None:
        """Leave the line."""
        if self._is_terminal:
            print(file=self._out)
