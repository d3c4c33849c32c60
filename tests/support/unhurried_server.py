# SPDX-License-Identifier: Apache-2.0
"""The real `cais-registry`, which looks at its files when told to, and not once a second.

A worker that another one took over from answers the connections that it has for as long as they
last.
"""

from __future__ import annotations

import sys

from cais_registry.__main__ import main
from cais_registry.app import draining, supervisor, worker

_NEVER = 3600.0

if __name__ == "__main__":
    for module, name in (
        (supervisor, "_POLL_SECONDS"),
        (worker, "POLL_SECONDS"),
        (draining, "RETIRE_SECONDS"),
    ):
        assert hasattr(module, name)
        setattr(module, name, _NEVER)
    sys.exit(main())
