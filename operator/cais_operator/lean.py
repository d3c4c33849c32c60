# SPDX-License-Identifier: Apache-2.0
"""Leaves out what libraries load or hold and nothing here uses: a sixth of the operator's memory.

Importing `kubernetes.aio` imports `kubernetes` before it, and each of the two loads everything that
its distribution has: the synchronous client with requests, oauthlib and websocket, informers,
streams, leader election. Kopf loads the synchronous client too wherever it is found, to know its
classes. And asyncio has a buffer of 256 KiB to read from each TLS connection, of which the operator
has thirty and most carry a few KiB in a minute.

Only for a process of its own, before any of them is imported.
"""

import importlib.util
import sys
from asyncio import sslproto
from typing import Final

# Known by their place only: what is in them is found, what they would load is not loaded.
_BARE: Final = ("kubernetes", "kubernetes.aio")
# An import fails, as if it were not installed; Kopf is made for that.
_ABSENT: Final = "kubernetes.client"
_READ = 64 * 1024  # bytes; a TLS record has at most 16 KiB


def leave_out() -> None:
    """Keep what is never called out of this process, and buffers small."""
    sslproto.SSLProtocol.max_size = _READ
    for name in _BARE:
        _put_bare(name)
    sys.modules[_ABSENT] = None  # type: ignore[assignment]  # what the import system takes for absent


def _put_bare(name: str) -> None:
    """Enter a package without running it."""
    spec = importlib.util.find_spec(name)
    if spec is None:  # the import that follows says it better
        return
    package = importlib.util.module_from_spec(spec)
    sys.modules[name] = package
    parent, _, leaf = name.rpartition(".")
    if parent:
        setattr(sys.modules[parent], leaf, package)
