# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import threading
from typing import Final

_AGAIN_SECONDS: Final = 0.2


class Relay:
    """Sets an event from a thread of its own, on behalf of signal handlers.

    A handler runs in the middle of whatever the main thread does. If that is a method of the same
    event, which holds the event's lock, setting it would wait for itself for ever. And where the
    main thread is about to clear the event, the wish would be lost: so it is set again and again.
    """

    def __init__(self, event: threading.Event) -> None:
        """Prepare; nothing happens before `start`."""
        self._event = event
        self._is_final = False
        self._read, self._write = os.pipe()
        os.set_blocking(self._write, False)

    def start(self) -> None:
        """Begin to listen."""
        threading.Thread(target=self._listen, name="relay", daemon=True).start()

    def ask(self, *, is_final: bool = False) -> None:
        """Have the event set soon; safe in a signal handler.

        Args:
            is_final: Set it again and again from now on.
        """
        self._is_final = self._is_final or is_final
        try:
            os.write(self._write, b".")
        except BlockingIOError:
            return  # many wishes wait already

    def _listen(self) -> None:
        pause = threading.Event()
        while os.read(self._read, 1):
            self._event.set()
            while self._is_final:
                pause.wait(_AGAIN_SECONDS)
                self._event.set()
