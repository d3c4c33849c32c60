# SPDX-License-Identifier: Apache-2.0
"""How the C library's allocator treats the pieces that bodies come and go in (mallopt(3))."""

from __future__ import annotations

import asyncio
import ctypes
from typing import Final

EVERY_SECONDS: Final = 60.0
_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3
_M_ARENA_MAX: Final = -8
_KEPT_BYTES: Final = 4 << 20
_OWN_MAPPING_BYTES: Final = 1 << 20


def keep_pieces() -> None:
    """Keep a little of what was freed, so that the next piece needs no new pages of the kernel.

    By default glibc gives back all above 256 KiB, which is two pieces: with many downloads at once
    the kernel then zeroes half of all pages anew that a blob is copied into. And it has an arena
    for each of several threads, which would each keep that, and never give it back. Another C
    library (musl) is left as it is.

    To be called before there are threads; processes that are forked later have it so, too.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _OWN_MAPPING_BYTES)
        mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)
        mallopt(_M_ARENA_MAX, 1)


async def give_back(every: float = EVERY_SECONDS) -> None:
    """Now and then give the kernel what was freed and kept: a registry that rests is small.

    Args:
        every: Seconds.
    """
    malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    while malloc_trim is not None:
        await asyncio.sleep(every)
        malloc_trim(0)
