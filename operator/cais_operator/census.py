# SPDX-License-Identifier: Apache-2.0
"""What the statuses of all Registries say, counted for metrics. Pure memory."""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from cais_operator.resource import Key

_STATES = ("True", "False", "Unknown")


class Census:
    """The Registries that were seen, by how they are."""

    def __init__(self) -> None:
        self._ready: dict[Key, str] = {}
        self._ends: dict[Key, float] = {}

    def note(self, key: Key, status: Mapping[str, Any]) -> None:
        """Take a Registry in as it was seen last."""
        conditions = {one["type"]: one["status"] for one in status.get("conditions") or ()}
        found = conditions.get("Ready")
        self._ready[key] = found if found in _STATES else "Unknown"
        end = (status.get("certificate") or {}).get("notAfter")
        if end:
            self._ends[key] = datetime.fromisoformat(end).timestamp()
        else:
            self._ends.pop(key, None)

    def forget(self, key: Key) -> None:
        """Leave out a Registry that is gone."""
        self._ready.pop(key, None)
        self._ends.pop(key, None)

    def ready(self) -> Mapping[str, int]:
        """Return how many there are, by the status of Ready."""
        counted = Counter(self._ready.values())
        return {state: counted[state] for state in _STATES}

    def first_end(self) -> float | None:
        """Return when the first of their certificates ends, Unix time; None without any."""
        return min(self._ends.values(), default=None)
