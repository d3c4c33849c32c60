# SPDX-License-Identifier: Apache-2.0
"""When a worker with another certificate takes over, and how it tells that it serves (ADR 7)."""

from __future__ import annotations

import logging
import multiprocessing
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from cais_registry.app import certificates
from cais_registry.app.draining import MOST

LAST_SECONDS: Final = 300.0
"""A certificate this near to its end is replaced, whoever still drains."""

READY_SECONDS: Final = 60.0
"""A new worker that does not serve after so long is ended, and the old one goes on."""

AGAIN_SECONDS: Final = 60.0
"""After a new worker that did not come to serve, the next one is started so much later."""

_SLACK_SECONDS: Final = 10.0
_LOOK_SECONDS: Final = 0.02
_logger = logging.getLogger("cais")


class Readiness:
    """A pipe on which a new worker tells its parent that it serves.

    It is made before the fork. A worker that ends without a word closes it, whatever ended it.
    """

    def __init__(self) -> None:
        self._reader, self._writer = multiprocessing.Pipe(duplex=False)

    def tell(self) -> None:
        """In the worker: it serves."""
        with suppress(OSError):  # a parent that has given up does not listen
            self._writer.send_bytes(b"ready")
        self.close()

    def problem(self, seconds: float, *, is_stopped: Callable[[], bool]) -> str | None:
        """In the parent, after the fork: wait for the worker's word.

        Args:
            seconds: How long at most.
            is_stopped: Whether nobody wants to know any more.

        Returns:
            None if it serves, or nobody wants to know; else why it does not serve.
        """
        self._writer.close()
        end = time.monotonic() + seconds
        while not self._reader.poll(_LOOK_SECONDS):
            if is_stopped():
                return None
            if time.monotonic() >= end:
                return f"it was not ready within {seconds:g} s"
        try:
            self._reader.recv_bytes()
        except EOFError:
            return "it ended before it was ready"
        return None

    def close(self) -> None:
        """Give up, or be done; each process closes its own."""
        self._reader.close()
        self._writer.close()


class Succession:
    """Has a new worker started when the certificate has changed, and the time for it has come.

    Attributes:
        served: What the worker that takes connections serves; None for plain HTTP.
    """

    def __init__(
        self,
        served: certificates.Pair | None,
        *,
        has_room: Callable[[], bool],
        begin: Callable[[], None],
    ) -> None:
        """Prepare.

        Args:
            served: What the first worker serves.
            has_room: Whether one more worker may drain without one being stopped for it.
            begin: Asks for a new worker; whoever makes it calls `end`.
        """
        self.served = self._waiting = served
        self._has_room, self._begin = has_room, begin
        self._again_at = 0.0
        self._ended = threading.Event()

    def look(self, wanted: certificates.Pair | None) -> None:
        """Compare what is served with what the files say; called again and again.

        It comes back when the new worker serves, or does not; at the latest a little after
        `READY_SECONDS`.
        """
        if wanted == self.served:
            return
        is_new, self._waiting = wanted != self._waiting, wanted
        if not (self._has_room() or ends_soon(self.served, time.time())):
            if is_new:
                _logger.warning(
                    "the certificate has changed: it is served as soon as one of %d workers"
                    " that end older transfers has done so",
                    MOST,
                )
        elif is_new or time.monotonic() >= self._again_at:
            self._take_over()
            is_done = self.served == wanted
            self._again_at = 0.0 if is_done else time.monotonic() + AGAIN_SECONDS

    def hurry(self) -> None:
        """Do not wait before the next try."""
        self._again_at = 0.0

    def end(self, served: certificates.Pair | None) -> None:
        """From the thread that starts workers: this is what is served from now on."""
        self.served = served
        self._ended.set()

    def _take_over(self) -> None:
        _logger.info("the certificate has changed: a new worker will serve it")
        self._ended.clear()
        self._begin()
        if not self._ended.wait(READY_SECONDS + _SLACK_SECONDS):
            _logger.error(
                "the certificate has changed, but no new worker was started within %d s;"
                " it is tried again in %d s",
                READY_SECONDS + _SLACK_SECONDS,
                AGAIN_SECONDS,
            )


def ends_soon(pair: certificates.Pair | None, now: float) -> bool:
    """Whether a certificate has to be replaced now.

    Args:
        pair: What is served; None for plain HTTP.
        now: Seconds since 1970.
    """
    validity = None if pair is None else certificates.validity(pair)
    return validity is not None and validity.end - now < LAST_SECONDS
