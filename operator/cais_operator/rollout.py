# SPDX-License-Identifier: Apache-2.0
"""Why a server's pod has to restart, and whose turn it is. Pure.

A pod restarts when its Deployment's template changes. What the owner of a Registry asks for, and
what somebody has done to a Deployment, is applied at once. What comes of an upgrade of the operator
waits for a turn: so many at a time, counted by what the Deployments themselves tell, so that
another operator goes on with the same count (docs/adr/0042).
"""

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

from cais_operator import names
from cais_operator.resource import Pod, Registry, Resources
from cais_operator.settings import Settings

Name = tuple[str, str]  # namespace, name
_SKEW = timedelta(minutes=1)  # by which the clocks of two operators may differ


class Cause(Enum):
    """Why the template of a Deployment has to change."""

    CREATED = "created"
    ASKED = "asked"  # the Registry's own spec asks for it
    EDITED = "edited"  # somebody has changed the Deployment
    DOWN = "down"  # an upgrade, of a server that serves nobody now
    UPGRADED = "upgraded"  # an upgrade

    @property
    def reason(self) -> str:
        """The reason of an Event."""
        words = {Cause.ASKED: "RestartForSpec", Cause.EDITED: "RestartForRepair"}
        return words.get(self, "RestartForUpgrade")


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """A pod template, as it is or as it should be.

    Attributes:
        digest: Of the template.
        asked: Digest of that part of the spec which it depends on; empty when not known.
        applied: Digest of the template that was applied last; empty when not known.
    """

    digest: str
    asked: str = ""
    applied: str = ""


class Stage(Enum):
    """How a server is that was restarted in its turn."""

    SETTLED = "settled"
    RESTARTING = "restarting"  # keeps its turn
    FAILED = "failed"  # not ready again in time


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """All servers that were restarted in their turn and are not settled."""

    restarting: frozenset[Name] = frozenset()
    failed: frozenset[Name] = frozenset()

    def free(self, settings: Settings, granted: AbstractSet[Name] = frozenset()) -> int:
        """Return how many turns can be given now, besides those that were given just now."""
        if self.is_stopped(settings):
            return 0
        return max(0, settings.rollout_max_concurrent - len(self.restarting | granted))

    def is_stopped(self, settings: Settings) -> bool:
        """Return whether so many have failed that no other is restarted."""
        return len(self.failed) >= settings.rollout_max_failed


def cause(
    wanted: Template, live: Template | None, *, is_available: bool, lacks: bool = False
) -> Cause | None:
    """Return why the template has to change; None when it need not.

    Args:
        wanted: As it should be.
        live: As it is; None without a Deployment.
        is_available: Whether the server serves, so that somebody would miss it.
        lacks: Whether the spec asks for what the server that runs cannot do.
    """
    if live is None:
        return Cause.CREATED
    if wanted.digest == live.digest:
        return None
    if live.applied not in ("", live.digest):
        return Cause.EDITED
    if lacks or live.asked not in ("", wanted.asked):
        return Cause.ASKED
    return Cause.UPGRADED if is_available else Cause.DOWN


def fleet(deployments: Iterable[Mapping[str, Any]], settings: Settings, now: datetime) -> Fleet:
    """Count the servers that were restarted in their turn, as their Deployments tell."""
    found: dict[Stage, set[Name]] = {one: set() for one in Stage}
    for one in deployments:
        metadata = one["metadata"]
        name = (metadata["namespace"], metadata["name"])
        found[stage(one, settings.rollout_deadline, now)].add(name)
    return Fleet(
        restarting=frozenset(found[Stage.RESTARTING]), failed=frozenset(found[Stage.FAILED])
    )


def stage(deployment: Mapping[str, Any], deadline: timedelta, now: datetime) -> Stage:
    """Return how a server is that was restarted, or not, in its turn.

    A server that was ready again and is lost later, with its node for instance, has not failed.
    """
    began = restarted(deployment)
    if began is None or began > now + _SKEW or is_available(deployment):
        return Stage.SETTLED  # one that begins in the future is nobody's but an editor's
    if now < began + deadline:
        return Stage.RESTARTING
    lost = _lost(deployment)
    return Stage.FAILED if lost is None or lost < began + deadline else Stage.SETTLED


def restarted(deployment: Mapping[str, Any]) -> datetime | None:
    """Return when a server was last restarted in its turn; None when it was not."""
    annotations = deployment["metadata"].get("annotations") or {}
    return _time(annotations.get(names.RESTARTED))


def is_available(deployment: Mapping[str, Any]) -> bool:
    """Return whether there are pods of the newest template only, and one serves."""
    status = deployment.get("status") or {}
    seen = status.get("observedGeneration", 0) >= deployment["metadata"].get("generation", 0)
    new = status.get("updatedReplicas", 0)
    is_through = new and new >= status.get("replicas", 0)
    return bool(seen and is_through and status.get("availableReplicas"))


def _lost(deployment: Mapping[str, Any]) -> datetime | None:
    """Return since when it is not available, as far as that is told."""
    for one in (deployment.get("status") or {}).get("conditions") or ():
        if one.get("type") == "Available" and one.get("status") == "False":
            return _time(one.get("lastTransitionTime"))
    return None


def _time(text: object) -> datetime | None:
    """Read a time; whoever may write a Deployment may write nonsense."""
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return found if found.tzinfo is not None else None


def asked(registry: Registry, revision: str = "") -> str:
    """Return a digest of what the spec, and Secrets that it names, say about the pod.

    Args:
        registry: The Registry.
        revision: Of the keys and addresses of its bucket and database; empty with a volume.

    A field that a later version brings changes nothing while it is at its default: else the first
    look after an upgrade would take every Registry for one that its owner has edited.
    """
    spec, s3 = registry.spec, registry.spec.storage.s3
    parts = {
        "pod": _given(spec.pod),
        "version": spec.version,
        "claim": names.claim(registry),
        "tls": not spec.tls.is_disabled,
        "s3": {} if s3 is None else {key: one for key, one in asdict(s3).items() if one},
        "revision": revision,
    }
    text = json.dumps({key: one for key, one in parts.items() if one}, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _given(block: Pod | Resources) -> dict[str, Any]:
    """Return what is not at its default."""
    default = type(block)()
    values = {field.name: getattr(block, field.name) for field in dataclasses.fields(block)}
    return {
        name: _given(value) if isinstance(value, Resources) else value
        for name, value in values.items()
        if value != getattr(default, name)
    }
