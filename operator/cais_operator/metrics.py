# SPDX-License-Identifier: Apache-2.0
"""What the operator counts about itself, in Prometheus text."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)  # seconds


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
