# SPDX-License-Identifier: Apache-2.0
"""Garbage collection: the last runs, the next one, and whether one was missed. Pure."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from cais_operator import names
from cais_operator.observed import Observed
from cais_operator.resource import Registry
from cais_operator.status.conditions import Condition, stamp
from cais_operator.status.content import ended_at
from cais_operator.status.schedule import following

GRACE = timedelta(minutes=70)
"""A run may start an hour late (the CronJob's deadline), and takes some minutes to get going."""

_TYPE = "GarbageCollected"


def block(
    registry: Registry, observed: Observed, now: datetime, reclaimable: int | None
) -> dict[str, Any]:
    """Return `status.garbageCollection`; what the server does not say now stays as it was.

    Args:
        registry: Schedule, and the status as it is.
        observed: What the server said of its runs.
        now: Aware, UTC.
        reclaimable: Bytes that can be given back, rounded; None when not known.
    """
    before: dict[str, Any] = dict(registry.status.get("garbageCollection") or {})
    runs = observed.server.gc if observed.server else None
    if runs is None:
        return before
    last, success = runs.get("last") or {}, runs.get("lastSuccess") or {}
    found = {
        "lastRunTime": ended_at(last),
        "lastSuccessTime": ended_at(success),
        "durationSeconds": _rounded(success.get("durationSeconds")),
        "tagsDeleted": success.get("tagsDeleted"),
        "untaggedDeleted": success.get("untaggedDeleted"),
        "blobsDeleted": success.get("blobsDeleted"),
        "bytesReclaimed": success.get("bytesReclaimed"),
        "bytesReclaimable": reclaimable,
        "lastDryRun": _dry_run(runs.get("lastDryRun")),
        **_times(registry, runs, now),
    }
    return {key: value for key, value in found.items() if value is not None}


def condition(registry: Registry, observed: Observed, now: datetime) -> Condition | None:
    """Return GarbageCollected; None when no run is known. It never touches Ready."""
    runs = observed.server.gc if observed.server else None
    if runs is None:
        return None
    missed = _times(registry, runs, now)["missedRunTime"]
    if missed is not None:
        message = (
            f"no garbage collection has run since {missed}, when one was due: look at the Jobs of "
            f"the CronJob {names.cron_job(registry)}"
        )
        return Condition(type=_TYPE, status="False", reason="Missed", message=message)
    return _of_last(runs.get("last"))


def _of_last(last: Mapping[str, Any] | None) -> Condition | None:
    if not last:
        return None
    words = last.get("message") or ""
    if last.get("state") == "Failed":
        message = f"the last garbage collection failed: {words or 'see the log of the server'}"
        return Condition(type=_TYPE, status="False", reason="Failed", message=message)
    message = words or f"the last garbage collection deleted {last.get('blobsDeleted', 0)} blobs"
    return Condition(type=_TYPE, status="True", reason="Succeeded", message=message)


def _dry_run(run: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if not run:
        return None
    told = {"time": ended_at(run), "state": run.get("state"), "message": run.get("message") or ""}
    return {key: value for key, value in told.items() if value is not None}


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 1)


def _times(registry: Registry, runs: Mapping[str, Any], now: datetime) -> dict[str, str | None]:
    """Return when the next run is due, and when one was due that nobody has seen.

    The due time that the status holds stands until a run ends after it, or until it is overdue: so
    a missed run shows although nothing is remembered. A changed schedule begins anew.
    """
    wanted = registry.spec.garbage_collection
    if wanted.suspend:
        return {"nextRunTime": None, "missedRunTime": None}
    before = registry.status.get("garbageCollection") or {}
    is_same = registry.status.get("observedGeneration") == registry.generation
    due, missed = (_moment(before.get(key)) if is_same else None for key in _KEYS)
    ran = _moment(ended_at(runs.get("last") or {}))
    due, missed = (None if ran and one and ran >= one else one for one in (due, missed))
    if due and now > due + GRACE and not runs.get("current"):
        missed, due = missed or due, None
    due = due or following(wanted.schedule, wanted.time_zone, now)
    return {"nextRunTime": _text(due), "missedRunTime": _text(missed)}


_KEYS = ("nextRunTime", "missedRunTime")


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text).astimezone(UTC) if text else None


def _text(moment: datetime | None) -> str | None:
    return stamp(moment) if moment else None
