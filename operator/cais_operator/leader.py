# SPDX-License-Identifier: Apache-2.0
"""Which of several operators works: an election on one `coordination.k8s.io/v1` Lease.

Clocks of machines are not compared: a holder counts as gone when its Lease has not changed for its
whole duration on our own clock. A holder that cannot renew in time stops working well before the
others may start. A process that was paused finds before its next write that too much time has
passed (`may_write`). What was on its way already cannot be taken back; every write is harmless for
that reason (generated material is only created, or changed with a resourceVersion).
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cais_operator import errors
from cais_operator.cluster import Cluster, Object

NAME = "cais-operator"
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """Of an election, in seconds.

    Attributes:
        lease: How long a Lease holds after its last renewal.
        deadline: How long a holder tries to renew before it gives up; less than `lease`.
        pause: Between two tries; less than `deadline`.
    """

    lease: int = 12
    deadline: float = 8.0
    pause: float = 2.0


class Leader:
    """One candidate.

    Attributes:
        leading: Whether this process may work now.
        last_answer: When the API server last answered about the Lease, on the clock given.
    """

    def __init__(
        self,
        cluster: Cluster,
        *,
        namespace: str,
        identity: str,
        clock: Callable[[], float],
        times: Times | None = None,
    ) -> None:
        self._cluster = cluster
        self._namespace = namespace
        self._identity = identity
        self._clock = clock
        self._times = times or Times()
        self._seen = ""  # resourceVersion of the Lease when it last changed
        self._seen_at = clock()
        self._renewed = clock()  # when the last renewal that went well was begun
        self._others = False  # whether the last try found someone else's Lease
        self.leading = False
        self.last_answer: float | None = None

    async def acquire(self) -> None:
        """Wait until this process holds the Lease."""
        while not await self._try():  # noqa: ASYNC110 - the API server is asked, not an event
            await asyncio.sleep(self._until_free())
        self.leading = True
        _log.info("leading as %s", self._identity)

    def may_write(self) -> bool:
        """Whether nobody else can have begun to lead: the Lease holds still, by our own clock."""
        return self.leading and self._clock() - self._renewed < self._times.lease

    async def hold(self) -> None:
        """Renew until that fails for too long; returns when the Lease is lost."""
        while await self._renewed_in_time():  # noqa: ASYNC110 - see acquire
            await asyncio.sleep(self._times.pause)
        self.leading = False
        _log.error("the Lease %s/%s is lost: stopping", self._namespace, NAME)

    async def release(self) -> None:
        """Give the Lease back, so that the next one need not wait; at best effort."""
        if not self.leading:
            return
        self.leading = False
        try:
            async with asyncio.timeout(self._times.pause):
                lease = await self._cluster.get("Lease", self._namespace, NAME)
                if lease["spec"].get("holderIdentity") == self._identity:
                    lease["spec"] |= {"holderIdentity": "", "leaseDurationSeconds": 1}
                    await self._cluster.replace(lease)
        except (errors.CaisError, TimeoutError) as error:
            _log.warning("the Lease could not be released: %s", error)

    def _until_free(self) -> float:
        """Return how long to wait before the next try; no longer than another's Lease can hold."""
        left = self._seen_at + self._times.lease - self._clock()
        return min(self._times.pause, left) if left > 0 else self._times.pause

    async def _renewed_in_time(self) -> bool:
        try:
            async with asyncio.timeout(self._times.deadline):
                while not await self._try():
                    if self._others:
                        return False
                    await asyncio.sleep(self._times.pause / 5)
        except TimeoutError:
            return False
        return True

    async def _try(self) -> bool:
        """Take or renew the Lease; False when someone else has it or nobody answers."""
        self._others = False
        begun = self._clock()
        try:
            lease = await self._cluster.get("Lease", self._namespace, NAME)
            self.last_answer = self._clock()
            if not self._free(lease):
                self._others = True
                return False
            await self._cluster.replace(self._claimed(lease))
        except errors.NotFound:
            if not await self._create():
                return False
        except errors.CaisError as error:
            _log.warning("leader election: %s", error)
            return False
        self._renewed = begun
        return True

    async def _create(self) -> bool:
        metadata = {"name": NAME, "namespace": self._namespace}
        lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata}
        try:
            await self._cluster.create(self._claimed({**lease, "spec": {}}))
        except errors.CaisError as error:
            _log.warning("leader election: %s", error)
            return False
        return True

    def _free(self, lease: Object) -> bool:
        """Judge whether the Lease is ours, nobody's, or has not moved for its whole duration."""
        version = lease["metadata"]["resourceVersion"]
        if version != self._seen:
            self._seen, self._seen_at = version, self._clock()
        spec = lease.get("spec") or {}
        if spec.get("holderIdentity") in ("", None, self._identity):
            return True
        duration = spec.get("leaseDurationSeconds") or self._times.lease
        return self._clock() - self._seen_at > duration

    def _claimed(self, lease: Object) -> Object:
        """Return the Lease with us as its holder."""
        spec: dict[str, Any] = dict(lease.get("spec") or {})
        now = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        if spec.get("holderIdentity") != self._identity:
            spec["acquireTime"] = now
            spec["leaseTransitions"] = int(spec.get("leaseTransitions") or 0) + 1
        spec |= {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": self._times.lease,
            "renewTime": now,
        }
        return {**lease, "spec": spec}
