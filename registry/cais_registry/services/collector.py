# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from cais_registry.model.run import Run


class GarbageCollector:
    """Runs garbage collection in the background, one run at a time, while pushes go on."""

    async def start(self, *, dry_run: bool = False) -> Run:
        """Begin a run and return at once; a run that is going is returned instead.

        Args:
            dry_run: Count what would be done and change nothing.
        """
        raise NotImplementedError

    async def wait(self) -> None:
        """Return when this process runs no garbage collection."""
        raise NotImplementedError

    async def current(self) -> Run | None:
        """The run that is going, if any."""
        raise NotImplementedError

    async def last(self) -> Run | None:
        """The newest finished run that was no dry run, if any."""
        raise NotImplementedError

    async def last_success(self) -> Run | None:
        """The newest run that succeeded and was no dry run, if any."""
        raise NotImplementedError

    async def run(self, run_id: str) -> Run | None:
        """One run by its id, None if it is not known (any more)."""
        raise NotImplementedError
