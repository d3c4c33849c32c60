# SPDX-License-Identifier: Apache-2.0
"""Shows on a terminal how far something is, and says in JSON terms what came of it."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict
from typing import Any, Final

_SHOW_SECONDS: Final = 1.0


@asynccontextmanager
async def shown(describe: Callable[[], str]) -> AsyncIterator[None]:
    """Show a line that is described anew every second, while the body runs."""
    task = asyncio.create_task(_show(describe))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _show(describe: Callable[[], str]) -> None:
    began = time.monotonic()
    while sys.stderr.isatty():
        await asyncio.sleep(_SHOW_SECONDS)
        seconds = time.monotonic() - began
        print(f"\r{seconds:.0f} s, {describe()} ", end="", file=sys.stderr, flush=True)


def terms(done: Any) -> dict[str, object]:  # noqa: ANN401 - any of our dataclasses
    """A result in JSON terms: `blobs_found` becomes `blobsFound`."""
    words = ((name.split("_"), value) for name, value in asdict(done).items())
    return {name[0] + "".join(map(str.title, name[1:])): value for name, value in words}
