# SPDX-License-Identifier: Apache-2.0
"""Workers that another one has taken over from, while they end what runs (docs/adr/0007)."""

from __future__ import annotations

import logging
import os
import signal
import threading
from contextlib import suppress
from typing import Any, Final

RETIRE_SECONDS: Final = 3.0
"""An old worker answers connections that it has accepted so long, and says that it closes them."""

DRAIN_SECONDS: Final = 3600.0
"""Running transfers have so long when a certificate was swapped."""

MOST: Final = 2
"""Old workers beside the one that serves; each costs some 30 MB."""

_logger = logging.getLogger("cais")


def tell(worker: Any, number: signal.Signals) -> None:  # noqa: ANN401 - granian's types
    """Send a signal to a worker, if it is still there."""
    with suppress(ProcessLookupError):
        if worker.is_alive():
            os.kill(worker.inner.pid, number)


class Draining:
    """The old workers that still serve something, the eldest first."""

    def __init__(self) -> None:
        self._workers: list[Any] = []  # granian's annotations are incomplete

    def alive(self) -> list[Any]:
        """Those that have not ended yet."""
        self._workers = [worker for worker in self._workers if worker.is_alive()]
        return list(self._workers)

    def has_room(self) -> bool:
        """Whether one more may drain without one being stopped for it."""
        return len(self.alive()) < MOST

    def add(self, old: Any) -> None:  # noqa: ANN401 - granian's types
        """Three steps: accept nothing more, end idle connections, end the rest by force."""
        while not self.has_room():
            self._stop_eldest()
        self._workers.append(old)
        old.interrupt_by_parent = True  # its end is no failure
        tell(old, signal.SIGUSR1)
        for seconds, step in ((RETIRE_SECONDS, old.terminate), (DRAIN_SECONDS, old.kill)):
            timer = threading.Timer(seconds, step)
            timer.daemon = True
            timer.start()

    def stop(self) -> None:
        """Stop them all: the server ends."""
        while self.alive():
            self._stop_eldest()

    def _stop_eldest(self) -> None:
        worker = self._workers.pop(0)
        _logger.warning("a worker that still served an old transfer was stopped")
        worker.kill()
