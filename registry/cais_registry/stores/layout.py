# SPDX-License-Identifier: Apache-2.0
"""How a data folder is laid out.

data/
├── lock                                  held by the server that uses the folder
├── gc.lock                               held while garbage collection runs
├── metadata.sqlite3 (-wal, -shm)         everything but the bytes of blobs
├── uploads/<upload id>                   bytes of uploads that go on
├── blobs/<algorithm>/<ab>/<abcdef...>/<upload id>       bytes of a blob; written once
└── manifests/<algorithm>/<ab>/<abcdef...>/<unique id>   copies of manifests, for a rebuild

No path is ever used twice: a path that was deleted never comes back with other content.
"""

from __future__ import annotations

from pathlib import Path


class UnusableData(Exception):  # noqa: N818 - reads as the condition it is, like our other errors
    """The data folder cannot be used; the message is one line that says why and what to do."""


def lock(data: Path) -> int:
    """Make sure that this server is the only one that uses a data folder.

    The lock belongs to the open file description: processes that inherit the descriptor share it,
    and it ends when the last of them has ended.

    Args:
        data: The folder; made when missing.

    Returns:
        The open, inheritable descriptor of `<data>/lock`; keep it open as long as the server runs.

    Raises:
        UnusableData: If another server holds the lock, or the folder cannot be written.
    """
    raise NotImplementedError
