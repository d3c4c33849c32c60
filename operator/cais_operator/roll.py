# SPDX-License-Identifier: Apache-2.0
"""All Registries, called over at the start and now and then: no lost event is lost for ever.

At the start each has to be looked at, and what the list shows is not a moment older than what a
request for each would: so it is handed on to the looks, a page at a time.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable

from cais_operator import names
from cais_operator.cluster import Cluster, Object, Selection
from cais_operator.errors import CaisError
from cais_operator.queue import WorkQueue
from cais_operator.resource import Key
from cais_operator.settings import Settings
from cais_operator.waiting import woken

_log = logging.getLogger(__name__)
_PAGE = 50  # Registries that are in memory as a whole,
_FEW = 25  # beside so many that wait for their looks still
_LONGEST = 5.0  # seconds that one waits for its look; later it is read anew
_PERIOD = 3600.0  # seconds; a watch is begun anew as often
_PAUSE = 5.0  # seconds until the next try


class Roll:
    """Built once; `run` never returns."""

    def __init__(
        self,
        cluster: Cluster,
        queue: WorkQueue,
        settings: Settings,
        listed: Callable[[list[Key]], None],
        clock: Callable[[], float],
    ) -> None:
        """Say what it works with.

        Args:
            cluster: Where the Registries are.
            queue: Where those go that nobody has spoken of.
            settings: For the namespaces, and how often.
            listed: Told all keys of a list.
            clock: Seconds.
        """
        self._cluster = cluster
        self._queue = queue
        self._places = settings.namespaces or (None,)
        self._period = max(settings.resync, _PERIOD)
        self._listed = listed
        self._clock = clock
        self._shown: dict[Key, tuple[Object, float]] = {}  # with when
        self._taken = asyncio.Event()

    def take(self, key: Key) -> Object | None:
        """Return a Registry as it was listed a moment ago, once; else None."""
        body, since = self._shown.pop(key, (None, 0.0))
        if len(self._shown) <= _FEW:
            self._taken.set()
        return body if self._clock() - since < _LONGEST else None

    async def run(self) -> None:
        """List whole Registries first, and later on their keys."""
        is_first = True
        while True:
            try:
                for place in self._places:
                    await self._call(place, is_first=is_first)
                is_first = False
                await asyncio.sleep(self._period)
            except CaisError as error:
                _log.warning("the Registries cannot be listed: %s", error)
                await asyncio.sleep(_PAUSE)

    async def _call(self, place: str | None, *, is_first: bool) -> None:
        selection = Selection(kind=names.KIND, namespace=place, metadata_only=not is_first)
        keys: list[Key] = []
        async for objects, _ in self._cluster.pages(selection, _PAGE):
            page = list(objects)
            keys.extend(map(_key, page))
            self._ask_for(map(_key, page))
            if is_first:
                await self._show(page)
        self._listed(keys)

    def _ask_for(self, keys: Iterable[Key]) -> None:
        for key in keys:
            if key not in self._queue:
                self._queue.add(key)

    async def _show(self, page: Iterable[Object]) -> None:
        """Hold a page out until few wait; not those of it that are looked at already."""
        found, now = {_key(one): one for one in page}, self._clock()
        self._shown |= {key: (one, now) for key, one in found.items() if self._queue.waits(key)}
        if len(self._shown) > _FEW:
            self._taken.clear()
            await woken(self._taken, _LONGEST)


def _key(one: Object) -> Key:
    return Key(one["metadata"]["namespace"], one["metadata"]["name"])
