# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations


class Housekeeping:
    """What the server does by itself: drop expired uploads, catch up on copies of manifests."""

    async def tick(self) -> None:
        """Do what is due now; cheap when nothing is."""
        raise NotImplementedError

    async def serve(self, *, interval_seconds: float = 60.0) -> None:
        """Tick until cancelled; a failed tick is logged and the next one tries again."""
        raise NotImplementedError
