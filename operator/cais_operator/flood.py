# SPDX-License-Identifier: Apache-2.0
"""How many Events there are of one object: what goes to and fro must not fill the cluster. Pure."""

from collections import OrderedDict
from datetime import datetime, timedelta

AGAIN = timedelta(minutes=10)  # after which the same words may be told again
SPAN = timedelta(hours=1)
MOST = 100  # Events of one object in that time; 64 users whose passwords change are 64
_OBJECTS = 4096  # of which the last Events are known


class Flood:
    """The last Events of each object; nothing of it has to outlive the process."""

    def __init__(self) -> None:
        self._told: OrderedDict[str, dict[int, datetime]] = OrderedDict()

    def takes(self, uid: str, words: object, now: datetime) -> bool:
        """Return whether an Event may be written, and count it if so.

        Args:
            uid: Of the object that it is about.
            words: All that makes it another one than those before; hashable.
            now: Aware, UTC.
        """
        told = self._recent(uid, now)
        mark = hash(words)
        if len(told) >= MOST or (mark in told and now - told[mark] < AGAIN):
            return False
        told[mark] = now
        return True

    def _recent(self, uid: str, now: datetime) -> dict[int, datetime]:
        told = {mark: at for mark, at in self._told.pop(uid, {}).items() if now - at < SPAN}
        self._told[uid] = told
        if len(self._told) > _OBJECTS:
            self._told.popitem(last=False)
        return told
