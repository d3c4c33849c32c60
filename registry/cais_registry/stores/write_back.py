# SPDX-License-Identifier: Apache-2.0
"""Has the kernel write early what will be synced in the end (docs/adr/0038)."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache
from typing import Any, Final

STEP: Final = 8 * 1024 * 1024
"""Bytes after which a file that grows is worth a call; smaller ones are not."""

_WRITE: Final = 2  # SYNC_FILE_RANGE_WRITE, and no waiting: that would use up errors


class WriteBack:
    """How far the kernel was asked to write one file that is appended to."""

    __slots__ = ("_begun", "_descriptor")

    def __init__(self, descriptor: int, size: int) -> None:
        """Begin.

        Args:
            descriptor: The open file.
            size: Its bytes so far, which are left to the sync.
        """
        self._descriptor = descriptor
        self._begun = size

    def grown(self, size: int) -> None:
        """Ask for what is new, in whole steps: a page that is not full would be written twice.

        Nothing is durable by that, and nothing fails: whoever syncs the file waits for all of it
        and hears of each error.

        Args:
            size: Bytes of the file.
        """
        end = size - size % STEP
        if end > self._begun:
            _sync_file_range()(self._descriptor, self._begun, end - self._begun, _WRITE)
            self._begun = end


@cache
def _sync_file_range() -> Callable[[int, int, int, int], Any]:
    """sync_file_range(2); Python has no name for it, and some C libraries do not either."""
    try:
        found = ctypes.CDLL(None).sync_file_range
    except AttributeError:
        return _nothing
    found.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)
    return found


def _nothing(descriptor: int, start: int, count: int, flags: int) -> None:
    """Leave all of it to the sync."""
