# SPDX-License-Identifier: Apache-2.0
"""Counts of requests, kept as plain numbers: the metrics library is loaded at the first scrape."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import msgspec

BUCKETS: Final = (
    *(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5),  # manifests, small blobs
    *(10.0, 60.0, 600.0),  # large blobs, which take as long as the client's line
)
"""Seconds."""


class Done(msgspec.Struct, frozen=True, kw_only=True):  # made for every request: the cheapest
    """A finished request.

    Attributes:
        kind: Kind of its path.
        method: `other` for one that is not known.
        status: Of the answer.
        seconds: From the first byte to the last.
        received: Bytes of its body.
        sent: Bytes of the answer's body.
    """

    kind: str
    method: str
    status: int
    seconds: float
    received: int
    sent: int


@dataclass(slots=True)
class Series:
    """Finished requests of one route, method and status.

    Attributes:
        counts: Requests per bucket of their duration, the last one without bound.
        seconds: Sum of their durations.
        received: Bytes of their bodies.
        sent: Bytes of the answers' bodies.
    """

    counts: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS) + 1))
    seconds: float = 0.0
    received: int = 0
    sent: int = 0


Key: TypeAlias = tuple[str, str, int]
"""Route, method and status."""


@dataclass(slots=True)
class Stats:
    """Everything `/metrics` tells about requests; few labels, none that a client chooses.

    Attributes:
        series: By route, method and status.
        in_flight: Requests at this moment.
    """

    series: dict[Key, Series] = field(default_factory=dict)
    in_flight: int = 0

    def count(self, done: Done) -> None:
        """Add a finished request."""
        key = (done.kind, done.method, done.status)
        series = self.series.get(key)
        if series is None:
            series = self.series[key] = Series()
        series.counts[bisect_left(BUCKETS, done.seconds)] += 1
        series.seconds += done.seconds
        series.received += done.received
        series.sent += done.sent
