# SPDX-License-Identifier: Apache-2.0
"""To wait for an event, and to end when told to."""

import asyncio
import contextlib


async def woken(event: asyncio.Event, longest: float | None) -> None:
    """Return when an event is set, or after so many seconds; None waits for ever.

    `asyncio.wait_for` would do, but before Python 3.12 it forgets that a task was cancelled when
    the event is set in the same moment: a loop around it then never ends.
    """
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(longest):
            await event.wait()
