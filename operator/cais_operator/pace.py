# SPDX-License-Identifier: Apache-2.0
"""When a Registry is looked at again: soon while it is not ready, when something is due, else late.

A Registry may also *rest*: nothing is to be done until something is told, or something is due.
While it rests its server is asked and the API server is not.
"""

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from cais_operator import names, passwords, rollout, token_keys
from cais_operator.brought import Refusal
from cais_operator.cluster import Object
from cais_operator.observed import ServerState
from cais_operator.registry_api import Way
from cais_operator.resource import Registry
from cais_operator.status.content import PACE, is_told
from cais_operator.status.garbage import GRACE
from cais_operator.world import World

SOONEST = 0.5  # seconds between looks at what is not ready yet, at least, and
_LATEST = 30.0  # at most
_SOON = 2.0  # between looks at a server that is silent
_PERIODS = 12  # of the resync, after which a Registry that rests is looked at as a whole


@dataclass(frozen=True, slots=True, kw_only=True)
class Rest:
    """What is true of a Registry that rests.

    Attributes:
        version: Its resourceVersion.
        after: Seconds until its server is asked again.
        longest: Seconds until it is looked at as a whole, whatever happens.
        way: How to reach its server; None while there is none to reach.
        state: What that said.
    """

    version: str
    after: float
    longest: float
    way: Way | None
    state: ServerState | None


class Pace:
    """Decides from what a look has found."""

    def __init__(self, resync: float, now: Callable[[], datetime]) -> None:
        self._resync = resync
        self._now = now

    def next(
        self, registry: Registry, world: World, said: Mapping[str, Any], turn: datetime | None
    ) -> float:
        """Return seconds until the next look.

        Args:
            registry: Which.
            world: What the look has found.
            said: The status.
            turn: When an account of a consumer is due.
        """
        resync = self._spread(1)
        conditions = {one["type"]: one for one in said["conditions"]}
        if "Stalled" in conditions or registry.spec.paused:
            return resync
        ready = conditions["Ready"]
        if ready["status"] != "True":
            waited = self._since(ready["lastTransitionTime"])
            return min(resync, max(SOONEST, min(_LATEST, waited / 4)))
        if passwords.is_rotating(registry, world):
            return SOONEST
        if conditions["ServerReady"]["status"] == "Unknown":
            return _SOON
        return max(SOONEST, min((resync, *self._due(registry, world, said, turn))))

    def rest(
        self,
        registry: Registry,
        world: World,
        said: Mapping[str, Any],
        turn: datetime | None,
        body: Object,
    ) -> Rest | None:
        """Return how it may rest; None when it has to be looked at again soon.

        Args:
            registry: Which.
            world: What the look has found.
            said: The status.
            turn: When an account of a consumer is due.
            body: The Registry as it was read, or as it was after its status was written.
        """
        conditions = {one["type"]: one["status"] for one in said["conditions"]}
        is_ready = conditions["Ready"] == "True" and conditions["ServerReady"] == "True"
        if "Stalled" in conditions or (world.way is not None and not is_ready):
            return None
        if _is_moving(registry, world, body):
            return None
        due = (*self._due(registry, world, said, turn), *self._to_be_told(world, said))
        longest = min((self._spread(_PERIODS), *due))
        if longest < SOONEST:
            return None
        return Rest(
            version=body["metadata"]["resourceVersion"],
            after=min(self._spread(1), longest),
            longest=longest,
            way=world.way,
            state=world.observed.server,
        )

    def _due(
        self, registry: Registry, world: World, said: Mapping[str, Any], turn: datetime | None
    ) -> Iterator[float]:
        """Yield seconds until something has to be done."""
        times = said.get("certificate") or {}
        for one in (times.get("renewAt"), times.get("notAfter")):
            if one and self._since(one) < 0:  # else it ends with its CA, until that changes
                yield -self._since(one)
        ends = [one.get("oldPasswordUntil") for one in said.get("rotations") or ()]
        keys = token_keys.known(world.secret(names.token_keys_secret(registry)), self._now())
        for due in (turn, *ends, *token_keys.turns(keys)):
            if due:
                yield -self._since(due)

    def _to_be_told(self, world: World, said: Mapping[str, Any]) -> Iterator[float]:
        """Yield seconds until the status has to say more, though nothing else has to be done."""
        overdue = (said.get("garbageCollection") or {}).get("nextRunTime")
        if overdue is not None:
            yield GRACE.total_seconds() - self._since(overdue)
        if not is_told(said, world.observed.server):
            written = said["usage"]["observedTime"]
            yield max(SOONEST, PACE.total_seconds() - self._since(written))

    def _spread(self, periods: int) -> float:
        return self._resync * periods * random.uniform(0.8, 1.0)  # noqa: S311 - spreads load

    def _since(self, moment: str | datetime) -> float:
        """Return seconds that have passed since a time, or a time of the status."""
        if isinstance(moment, str):
            moment = datetime.fromisoformat(moment)
        passed: timedelta = self._now() - moment
        return passed.total_seconds()


def _is_moving(registry: Registry, world: World, body: Object) -> bool:
    """Whether something is under way, or depends on what no watch shows."""
    observed, access = world.observed, registry.spec.access
    asked = body["metadata"].get("annotations") or {}
    return bool(
        not world.is_whole
        or observed.rejected
        or observed.exposure
        or observed.turn
        or _restarts(registry, world)
        or isinstance(observed.brought, Refusal)
        or access.names_service_accounts  # the cluster's keys may change
        or access.issuers
        or passwords.is_rotating(registry, world)
        or names.COLLECT in asked
        or names.ROTATE in asked
        or not all(map(_is_watched, world.bodies.values()))
    )


def _is_watched(child: Object) -> bool:
    """Whether its changes are told; not those of a claim that somebody has made, for one."""
    return (child["metadata"].get("labels") or {}).get(names.MANAGED_BY) == names.MANAGER


def _restarts(registry: Registry, world: World) -> bool:
    """Whether a server is on its way after an upgrade; by the clock it may be late."""
    live = world.bodies.get(("Deployment", names.deployment(registry)))
    if live is None or world.observed.is_late or rollout.is_available(live):
        return False
    return rollout.restarted(live) is not None
