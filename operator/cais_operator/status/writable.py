# SPDX-License-Identifier: Apache-2.0
"""Whether pushes are accepted, and if not, whether that is as asked for. Pure."""

from collections.abc import Mapping
from typing import Any

from cais_operator.observed import Observed
from cais_operator.resource import Registry
from cais_operator.status.conditions import Condition
from cais_operator.status.content import shown

_TYPE = "Writable"
_LEAST = 1 << 20  # bytes; with less room in the quota it is used up for any image


def condition(registry: Registry, observed: Observed) -> Condition | None:
    """Return Writable; None when the server did not say.

    Read-only and a quota that is used up leave Ready alone: the registry does what its spec asks.
    """
    usage = observed.server.usage if observed.server else None
    if usage is None:
        return None
    if registry.spec.read_only:
        message = "pushes and deletions are refused, as spec.readOnly asks; pulls go on"
        return _not("ReadOnly", message, is_asked_for=True)
    if _is_full(usage.get("disk") or {}):
        message = (
            "the volume is full: pushes are refused until tags are deleted and garbage "
            "is collected, or spec.storage.volume.size is raised"
        )
        return _not("DiskFull", message, is_asked_for=False)
    if _is_used_up(usage):
        message = (
            f"the quota of {_limit(registry, usage)} is used up: pushes that add something are "
            "refused until tags are deleted and garbage is collected, or spec.quota is raised"
        )
        return _not("QuotaExceeded", message, is_asked_for=True)
    return Condition(type=_TYPE, status="True", reason="Writable", message="pushes are accepted")


def quota(registry: Registry, used: int | None) -> dict[str, str]:
    """Return `status.quota`; empty without a quota.

    Args:
        registry: Has the limit.
        used: Bytes that are stored, rounded; None when never known.
    """
    limit = registry.spec.quota
    if limit is None:
        return {}
    return {"limit": str(limit), **({} if used is None else {"used": shown(used)})}


def _is_full(disk: Mapping[str, int]) -> bool:
    """Only the reserve is left; a server without a volume of its own tells of none."""
    if "available" not in disk or disk.get("capacity") == 0:
        return False
    return disk["available"] <= disk.get("reserve", 0)


def _limit(registry: Registry, usage: Mapping[str, Any]) -> str:
    """Return the quota as the spec words it, or the one that is in force while it was taken out."""
    return str(registry.spec.quota or shown(usage["quota"]["limit"]))


def _is_used_up(usage: Mapping[str, Any]) -> bool:
    """Less is left than any image takes; the server decides about each push, to the byte."""
    said = usage.get("quota") or {}
    limit = said.get("limit")
    return limit is not None and limit - said.get("used", 0) < min(_LEAST, limit // 100 + 1)


def _not(reason: str, message: str, *, is_asked_for: bool) -> Condition:
    return Condition(
        type=_TYPE,
        status="False",
        reason=reason,
        message=message,
        waits=False,
        is_asked_for=is_asked_for,
    )
