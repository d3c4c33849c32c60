# SPDX-License-Identifier: Apache-2.0
"""One LIST, then WATCH with bookmarks, for ever: again from the list after a 410."""

import asyncio
import logging
import random
from collections.abc import Callable

from cais_operator import errors
from cais_operator.cluster.interface import Cluster, Expired, Object, Selection

_FIRST_PAUSE = 0.5  # seconds after a failure, doubled up to
_LONGEST_PAUSE = 15.0
_log = logging.getLogger(__name__)

Listed = Callable[[list[Object]], None]
Changed = Callable[[str, Object], None]


class Watch:
    """Keeps one selection of objects in view.

    Attributes:
        synced: Set when the first list has been taken in.
        last_answer: When the API server last said anything, on the clock given; None at first.
        last_try: When it was last asked anything.
        ends: How often it has ended, by why: `ended` by the API server as it does, `expired`,
            `failed`.
    """

    def __init__(  # noqa: PLR0913 - what a watch needs
        self,
        cluster: Cluster,
        selection: Selection,
        *,
        listed: Listed,
        changed: Changed,
        clock: Callable[[], float],
        kept: Callable[[Object], Object] = lambda one: one,
    ) -> None:
        """Say what is watched, and who is told.

        Args:
            cluster: Where.
            selection: What.
            listed: Called with a whole list, first of all and whenever it had to be read again.
            changed: Called with each change.
            clock: Seconds.
            kept: Says what is to be kept of an object until its list is whole: a thousand large
                ones at once are most of what an operator ever has in memory.
        """
        self._kept = kept
        self._cluster = cluster
        self._selection = selection
        self._listed = listed
        self._changed = changed
        self._clock = clock
        self._version = ""
        self.synced = asyncio.Event()
        self.last_answer: float | None = None
        self.last_try = clock()
        self.ends = dict.fromkeys(("ended", "expired", "failed"), 0)

    @property
    def kind(self) -> str:
        """Of the objects."""
        return self._selection.kind

    async def run(self) -> None:
        """Never returns; whatever the API server says, it is asked again later."""
        failures = 0
        while True:
            begun = self.last_try = self._clock()
            before, least = self.last_answer, 0.0
            try:
                self._version = self._version or await self._list()
                heard = self.last_answer
                await self._follow()
                failures = 0 if self._went_well(begun, heard) else failures + 1
                self.ends["ended"] += 1
            except Expired:
                self._version = ""
                failures += 1
                self.ends["expired"] += 1
            except errors.CaisError as error:
                self.ends["failed"] += 1
                failures = 1 if self._went_well(begun, before) else failures + 1
                least = getattr(error, "retry_after", None) or 0.0
                _log.warning("watch of %s: %s", self._selection.kind, error)
            await asyncio.sleep(max(least, pause_after(failures)))

    def _went_well(self, begun: float, heard: float | None) -> bool:
        """Tell whether it brought something, or lasted: balancers end what is silent for a minute.

        One that always ends soon and without a word must not be asked all the time.
        """
        return self.last_answer != heard or self._clock() - begun > _LONGEST_PAUSE

    async def _list(self) -> str:
        objects: list[Object] = []
        version = ""
        async for page, version in self._cluster.pages(self._selection):  # noqa: B007 - the last
            objects.extend(map(self._kept, page))
        self.last_answer = self._clock()
        self._listed(objects)
        self.synced.set()
        return version

    async def _follow(self) -> None:
        async for event in self._cluster.watch(self._selection, self._version):
            self.last_answer = self.last_try = self._clock()
            self._version = str(event.object["metadata"]["resourceVersion"])
            if event.type != "BOOKMARK":
                self._changed(event.type, {**event.object, "kind": self._selection.kind})


def pause_after(failures: int) -> float:
    """Return how long to wait after so many failures in a row, in seconds, with jitter."""
    pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** min(failures - 1, 10))
    return pause * random.uniform(0.5, 1.0)  # noqa: S311 - spreads load, guards nothing
