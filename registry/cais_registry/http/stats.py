# SPDX-License-Identifier: Apache-2.0
"""Counts of requests, kept as plain numbers: the metrics library is loaded at the first scrape."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

import msgspec

BUCKETS: Final = (0.005, 0.02, 0.1, 0.5, 2.0, 10.0, 60.0)
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
class Durations:
    """How long requests of one kind took.

    Attributes:
        counts: Requests per bucket, the last one without bound.
        seconds: Sum.
    """

    counts: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS) + 1))
    seconds: float = 0.0


@dataclass(slots=True)
class Stats:
    """Everything `/metrics` tells about requests; few labels, none that a client chooses.

    Attributes:
        requests: By kind of path, method and status.
        durations: By kind of path.
        bytes_received: In bodies of requests.
        bytes_sent: In bodies of responses.
        in_flight: Requests at this moment.
    """

    requests: Counter[tuple[str, str, int]] = field(default_factory=Counter)
    durations: dict[str, Durations] = field(default_factory=dict)
    bytes_received: int = 0
    bytes_sent: int = 0
    in_flight: int = 0

    def count(self, done: Done) -> None:
        """Add a finished request."""
        self.requests[done.kind, done.method, done.status] += 1
        durations = self.durations.setdefault(done.kind, Durations())
        durations.counts[bisect_left(BUCKETS, done.seconds)] += 1
        durations.seconds += done.seconds
        self.bytes_received += done.received
        self.bytes_sent += done.sent
