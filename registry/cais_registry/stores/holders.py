# SPDX-License-Identifier: Apache-2.0
"""Who holds the lock of a data folder, as it says itself in the lock's file."""

from __future__ import annotations

import os
import re
import socket
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final

_MOST_BYTES: Final = 400
_FORM: Final = re.compile(
    r"host=(?P<host>[A-Za-z0-9][A-Za-z0-9.-]{0,252}) pid=(?P<pid>[1-9][0-9]{0,9})"
    r" since=(?P<since>[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z)"
)


def sign(lock: int) -> None:
    """Write this process into the file of a lock that it has; a full disk is no reason to stop.

    The host's name is the pod's in a cluster.
    """
    since = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    line = f"host={socket.gethostname()} pid={os.getpid()} since={since}\n".encode()
    with suppress(OSError):
        os.pwrite(lock, line, 0)
        os.ftruncate(lock, len(line))


def holder(lock: int) -> str:
    """Who has the lock, for a message; empty if the file does not say so in the very form.

    Anybody who can write to the folder may have written it: nothing is done with it but show it.
    """
    line = os.pread(lock, _MOST_BYTES, 0).split(b"\n")[0].decode("ascii", "replace")
    found = _FORM.fullmatch(line)
    if found is None:
        return ""
    return f" (process {found['pid']} on host {found['host']}, since {found['since']})"
