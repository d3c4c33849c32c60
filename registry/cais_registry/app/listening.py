# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import resource
import socket
from datetime import timedelta
from pathlib import Path
from typing import Final

BACKLOG: Final = 1024
_MOST_CONNECTIONS: Final = 16_384
_OTHER_FILES: Final = 512
"""Descriptors kept for what is no connection: blobs, uploads, database, certificates."""


def connection_limit() -> int:
    """Ask the kernel for as many descriptors as this process may have.

    An idle connection costs some 2 KiB; at the limit nobody is accepted, not even a probe, so it is
    far above what clients need and only keeps memory bounded.

    Returns:
        How many connections a worker may hold. Each may have a blob or an upload open.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * _MOST_CONNECTIONS + _OTHER_FILES
    limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < limit:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    return max(64, min(_MOST_CONNECTIONS, (limit - _OTHER_FILES) // 2))


def listen(host: str, port: int, stalled: timedelta = timedelta(0)) -> socket.socket:
    """Make the listening socket.

    Args:
        host: Address to listen on; `::` takes IPv4 as well.
        port: 0 lets the system choose.
        stalled: The kernel ends a connection whose other side has taken nothing for twice as long
            of what was sent to it (`TCP_USER_TIMEOUT`, tcp(7)); connections inherit it. Twice, as
            it sees a slow reader's progress in leaps only. 0 waits for ever.

    Raises:
        OSError: If the address is in use, or not one of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server(
        (host, port), family=family, backlog=BACKLOG, dualstack_ipv6=host == "::"
    )
    listener.setblocking(False)
    milliseconds = round(2 * stalled.total_seconds() * 1000)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)
    return listener


def stop_accepting(listener: socket.socket) -> None:
    """Make this process accept nothing more from a socket that others go on to listen on.

    The HTTP server has no such order: told to stop, it also drops connections that it has accepted
    but not yet read a request from. So every descriptor of the socket in this process is replaced
    by a socket that nobody connects to; its other connections, and other processes, notice nothing.
    """
    name = f"socket:[{os.fstat(listener.fileno()).st_ino}]"
    silent = socket.socket(socket.AF_UNIX)
    silent.setblocking(False)
    silent.bind("")  # a name that the kernel makes up, in no folder
    silent.listen(1)
    for link in Path("/proc/self/fd").iterdir():
        try:
            is_listener = os.readlink(link) == name  # noqa: PTH115 - not a path
        except OSError:  # the descriptor of the folder itself
            continue
        if is_listener:
            os.dup2(silent.fileno(), int(link.name), inheritable=False)
    silent.close()
