# SPDX-License-Identifier: Apache-2.0
"""What the operator counts about itself, in Prometheus text."""

import time
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from cais_operator.census import Census
from cais_operator.rollout import Fleet

_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)  # seconds


class AuthorityGauges:
    """The CA, and how far its rotation is."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._phases = Gauge(
            "cais_ca_rotation_phase",
            "1 for the phase in which the rotation of the CA is.",
            ["phase"],
            registry=registry,
        )
        self._since = Gauge(
            "cais_ca_rotation_phase_start_timestamp_seconds",
            "When that phase began; 0 while no CA is replaced.",
            registry=registry,
        )
        self._end = Gauge(
            "cais_ca_not_after_timestamp_seconds", "When the CA that signs ends.", registry=registry
        )
        self.waiting = Gauge(
            "cais_ca_rotation_waiting_registries",
            "Registries that the rotation of the CA waits for.",
            registry=registry,
        )

    def note(
        self, phase: str, phases: Iterable[str], since: datetime | None, end: datetime
    ) -> None:
        """Note how it is.

        Args:
            phase: In which its rotation is.
            phases: All that there are.
            since: When that began.
            end: When the CA that signs ends.
        """
        for one in phases:
            self._phases.labels(one).set(one == phase)
        self._since.set(since.timestamp() if since else 0)
        self._end.set(end.timestamp())


class RolloutGauges:
    """How far an upgrade of the servers is."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._stages = Gauge(
            "cais_rollout_registries",
            "Servers that wait for their turn in an upgrade, restart, or are not ready again.",
            ["stage"],
            registry=registry,
        )
        self.note(0, Fleet())

    def note(self, waiting: int, fleet: Fleet) -> None:
        """Note how many there are of each."""
        self._stages.labels("waiting").set(waiting)
        self._stages.labels("restarting").set(len(fleet.restarting))
        self._stages.labels("failed").set(len(fleet.failed))


class Watched(Protocol):
    """What a watch tells of itself; see `cluster.Watch`."""

    last_answer: float | None
    ends: dict[str, int]

    @property
    def kind(self) -> str:
        """Of the objects."""
        ...


class _Watches(Collector):
    """Read from the watches when somebody asks."""

    def __init__(
        self, watches: Callable[[], Iterable[Watched]], clock: Callable[[], float]
    ) -> None:
        self._watches = watches
        self._clock = clock

    def describe(self) -> Iterator[Metric]:
        """Have nothing asked at the start, when there are no watches."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """Return the families."""
        ends = CounterMetricFamily(
            "cais_watch_restarts",
            "Watches that ended and were begun anew, by kind and reason.",
            labels=["kind", "reason"],
        )
        ages = GaugeMetricFamily(
            "cais_watch_last_event_age_seconds",
            "Since when the quietest watch of a kind has heard nothing.",
            labels=["kind"],
        )
        counted: dict[tuple[str, str], int] = {}
        oldest: dict[str, float] = {}
        for watch in self._watches():
            for reason, count in watch.ends.items():
                counted[watch.kind, reason] = counted.get((watch.kind, reason), 0) + count
            if watch.last_answer is not None:
                age = self._clock() - watch.last_answer
                oldest[watch.kind] = max(age, oldest.get(watch.kind, 0.0))
        for (kind, reason), count in counted.items():
            ends.add_metric([kind, reason], count)
        for kind, age in oldest.items():
            ages.add_metric([kind], age)
        yield ends
        yield ages


class _Registries(Collector):
    """Read from the census when somebody asks."""

    def __init__(self, census: Census) -> None:
        self._census = census

    def collect(self) -> Iterator[Metric]:
        """Return the families."""
        ready = GaugeMetricFamily(
            "cais_registries", "Registries, by the status of Ready.", labels=["ready"]
        )
        for state, count in self._census.ready().items():
            ready.add_metric([state], count)
        yield ready
        end = GaugeMetricFamily(
            "cais_registries_certificate_expiry_timestamp_seconds",
            "When the first of the Registries' certificates ends.",
        )
        first = self._census.first_end()
        if first is not None:
            end.add_metric([], first)
        yield end


class Metrics:
    """Counters of one process; nothing global.

    It is handed what to ask at each scrape: how many keys are `queued`, the `age` of the oldest in
    seconds, all `watches` that run, and their `clock`.
    """

    def __init__(
        self,
        *,
        queued: Callable[[], float],
        age: Callable[[], float],
        watches: Callable[[], Iterable[Watched]] = tuple,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        registry = CollectorRegistry()
        self._registry = registry
        self.reconciles = Counter(
            "cais_reconciles", "Reconciles, by result.", ["result"], registry=registry
        )
        self.duration = Histogram(
            "cais_reconcile_seconds",
            "Duration of a reconcile.",
            buckets=_BUCKETS,
            registry=registry,
        )
        self.leading = Gauge(
            "cais_leading", "1 while this process is the leader.", registry=registry
        )
        self.refused = Gauge(
            "cais_refused_namespaces",
            "Namespaces with Registries that another installation looks after.",
            registry=registry,
        )
        self.authority = AuthorityGauges(registry)
        self.rollout = RolloutGauges(registry)
        self.census = Census()
        registry.register(_Registries(self.census))
        registry.register(_Watches(watches, clock))
        self._requests = Counter(
            "cais_api_requests",
            "Requests to the API server, by verb and status code.",
            ["verb", "code"],
            registry=registry,
        )
        _queue_gauges(registry, queued, age)

    def requested(self, verb: str, code: str) -> None:
        """Count a request to the API server; see `cluster.client.Count`."""
        self._requests.labels(verb, code).inc()

    def text(self) -> bytes:
        """Return all of it in the text format."""
        return generate_latest(self._registry)


def _queue_gauges(
    registry: CollectorRegistry, queued: Callable[[], float], age: Callable[[], float]
) -> None:
    depth = Gauge("cais_queue_depth", "Registries that wait for a look.", registry=registry)
    depth.set_function(queued)
    oldest = Gauge(
        "cais_queue_age_seconds",
        "For how long the oldest Registry in the queue has been due.",
        registry=registry,
    )
    oldest.set_function(age)
