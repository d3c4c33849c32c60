# SPDX-License-Identifier: Apache-2.0
"""What the operator counts about itself, in Prometheus text."""

from collections.abc import Callable, Iterable
from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

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


class Metrics:
    """Counters of one process; nothing global."""

    def __init__(self, *, queued: Callable[[], float], age: Callable[[], float]) -> None:
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
        depth = Gauge("cais_queue_depth", "Registries that wait for a look.", registry=registry)
        depth.set_function(queued)
        oldest = Gauge(
            "cais_queue_age_seconds",
            "For how long the oldest Registry in the queue has been due.",
            registry=registry,
        )
        oldest.set_function(age)

    def text(self) -> bytes:
        """Return all of it in the text format."""
        return generate_latest(self._registry)
