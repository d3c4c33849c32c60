# SPDX-License-Identifier: Apache-2.0
"""The real `cais-registry`, killed whole when a step of docs/adr/0006 is about to be done.

FAILPOINT=STEP:COUNT in the environment: the COUNT-th time the step STEP is reached.
"""

from __future__ import annotations

import os
import signal
import sys
from functools import partial

from cais_registry.__main__ import main
from cais_registry.services import core


class Killer:
    """A failpoint that ends worker and parent at once."""

    def __init__(self, step: str, count: int) -> None:
        self._step = step
        self._left = count

    def __call__(self, step: str) -> None:
        self._left -= step == self._step
        if self._left == 0:
            for pid in (os.getppid(), os.getpid()):
                os.kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    named, _, times = os.environ["FAILPOINT"].rpartition(":")
    # the worker builds its services with what it finds here after the fork
    core.open_core = partial(core.open_core, failpoint=Killer(named, int(times)))
    sys.exit(main())
