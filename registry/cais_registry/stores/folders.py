# SPDX-License-Identifier: Apache-2.0
"""Ends files and makes names durable; also a program that ends the files that it is told.

A thread that deletes a file lets others have the interpreter and then waits to get it back, which
in a busy server takes ten times as long as the deletion. So many files are deleted by a process of
its own. As that starts for every few thousand, this file needs nothing but `os` and `sys`.

    python -I -S folders.py ROOT    keys, each ended by NUL, on standard input;
                                    on standard output those whose files are still there
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable

_END = "\0"


def sync_folder(folder: str | os.PathLike[str]) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def erase(root: str, keys: Iterable[str]) -> list[str]:
    """Delete files, and the folders of theirs that are empty then, durably.

    Args:
        root: The folder in which the keys are paths; itself it stays, and so do folders in it.
        keys: Paths; that there is nothing is fine.

    Returns:
        The keys whose files could not be deleted.
    """
    left: list[str] = []
    changed: set[str] = set()
    for key in keys:
        path = f"{root}/{key}"
        try:
            os.unlink(path)
        except (FileNotFoundError, NotADirectoryError):
            pass
        except OSError:
            left.append(key)
            continue
        changed.add(_prune(root, os.path.dirname(path)))
    for folder in changed:
        _sync_gone(folder)
    return left


def _prune(root: str, folder: str) -> str:
    """Remove the folder of a digest when it is empty; returns the folder that changed."""
    above = os.path.dirname(folder)
    if above == root:
        return folder
    try:
        os.rmdir(folder)
    except OSError:
        return folder
    return above


def _sync_gone(folder: str) -> None:
    """Make the end of names in a folder durable, also where the folder itself has ended.

    Whoever removed it may have been killed before that was durable, or be about to make it so.
    """
    for existing in (folder, os.path.dirname(folder)):
        try:
            sync_folder(existing)
        except FileNotFoundError:
            continue
        return


def encode(keys: Iterable[str]) -> bytes:
    """Keys as the program reads and writes them."""
    return "".join(key + _END for key in keys).encode()


def decode(listed: bytes) -> list[str]:
    """Read what `encode` wrote.

    Raises:
        ValueError: If the last key is cut off: whoever wrote it has ended, nothing may be done.
    """
    if listed and not listed.endswith(_END.encode()):
        raise ValueError("the last key is cut off")
    return listed.decode().split(_END)[:-1]


if __name__ == "__main__":
    keys = decode(sys.stdin.buffer.read())
    sys.stdout.buffer.write(encode(erase(sys.argv[1], keys)))
