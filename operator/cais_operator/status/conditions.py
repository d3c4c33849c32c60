# SPDX-License-Identifier: Apache-2.0
"""Conditions as Kubernetes keeps them. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

_LONGEST = 1024  # characters of a message; the CRD allows more, a person reads less


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One finding.

    Attributes:
        type: CamelCase, for example `StorageReady`.
        status: Whether it holds.
        reason: Machine word, CamelCase.
        message: For a person: what, to what, what to do.
        waits: Whether the operator is on its way to make it true (Reconciling).
        stalls: Whether only a person can make it true (Stalled).
        is_asked_for: Whether the spec asks for it to be as it is, so that Ready does not need it.
        is_tolerated: Whether it may pass by itself, so that Ready is not taken back for it yet.
    """

    type: str
    status: Literal["True", "False", "Unknown"]
    reason: str
    message: str
    waits: bool = True
    stalls: bool = False
    is_asked_for: bool = False
    is_tolerated: bool = False

    @property
    def is_lacking(self) -> bool:
        """Whether the registry is not Ready because of it."""
        return self.status != "True" and not self.is_asked_for and not self.is_tolerated


def stamp(moment: datetime) -> str:
    """Return a time as Kubernetes writes it, in whole seconds."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def written(
    found: Iterable[Condition],
    before: Mapping[str, Mapping[str, Any]],
    *,
    generation: int,
    now: datetime,
) -> list[dict[str, Any]]:
    """Return conditions as they go into a status.

    Args:
        found: The conditions, in the order in which they are shown.
        before: Those of the status as it is, by type.
        generation: Of the spec they are about.
        now: The transition time of those whose status changed; the others keep theirs.
    """
    return [_entry(one, before.get(one.type), generation, now) for one in found]


def by_type(status: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return the conditions of a status by type."""
    return {one["type"]: one for one in status.get("conditions") or []}


def _entry(
    found: Condition, before: Mapping[str, Any] | None, generation: int, now: datetime
) -> dict[str, Any]:
    is_same = before is not None and before.get("status") == found.status
    moved = before.get("lastTransitionTime") if before is not None and is_same else None
    return {
        "type": found.type,
        "status": found.status,
        "reason": found.reason,
        "message": found.message[:_LONGEST],
        "observedGeneration": generation,
        "lastTransitionTime": moved or stamp(now),
    }
