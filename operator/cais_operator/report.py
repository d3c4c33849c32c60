# SPDX-License-Identifier: Apache-2.0
"""Tells people: the status when it changed, and one Event for each change of a reason."""

import hashlib
import logging
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from cais_operator import names
from cais_operator.cluster import Cluster, Object
from cais_operator.errors import ApiUnavailable, CaisError, Conflict
from cais_operator.flood import Flood
from cais_operator.resource import Key

_COLLECTED = "GarbageCollected"
_END = "oldPasswordUntil"
_OF_THE_SERVER = ("resourceVersion", "managedFields")
_WARNED = ("ClaimLost", "DiskFull", "QuotaExceeded", "RestartFailed", "TlsDisabled")
_EACH = (  # told each time, in the same words too
    _COLLECTED,
    "GarbageCollectionFailed",
    "GarbageCollectionDryRun",
    "PasswordRotated",
)
_LONGEST = 1024  # characters of an Event's message; the API server refuses more
_log = logging.getLogger(__name__)


class Reporter:
    """Writes status and Events."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._flood = Flood()

    async def report(self, body: Object, status: Mapping[str, Any], now: datetime) -> Object | None:
        """Write the status, and Events for what is new in it, when it differs.

        Args:
            body: The Registry, or RegistryAccess, as it was read.
            status: What it should say.
            now: Aware, UTC.

        Returns:
            The Registry after that; None when nothing was written.

        Raises:
            NotFound: When the Registry is gone.
            Conflict: When another one has its name now.
        """
        before = body.get("status") or {}
        if before == status:
            return None
        metadata = body["metadata"]
        who = {key: metadata[key] for key in ("name", "namespace", "uid")}
        written = await self._cluster.apply_status(
            {
                "apiVersion": names.API_VERSION,
                "kind": body.get("kind", names.KIND),
                "metadata": who,
                "status": dict(status),
            }
        )
        for event in events(body, before, status, now):
            await self._post(event, now)
        return written

    async def warn(self, body: Object, reason: str, message: str, now: datetime) -> None:
        """Write one Event of what is no condition but has to be told.

        Args:
            body: The object that it is about, as it was read.
            reason: Machine word, CamelCase.
            message: What, and what to do.
            now: Aware, UTC.
        """
        await self._post({**_event(body, _told(reason, message), now), "type": "Warning"}, now)

    async def tell(self, body: Object, reason: str, message: str, now: datetime) -> None:
        """Write one Event of what went as it should; arguments as those of `warn`."""
        await self._post(_event(body, _told(reason, message), now), now)

    async def _post(self, event: Object, now: datetime) -> None:
        """Create an Event at best effort, unless it is one too many: nobody's registry waits."""
        about = event["involvedObject"]
        key = Key(about["namespace"], about["name"])
        _log.info("%s", event["message"], extra={"key": key, "reason": event["reason"]})
        if not self._flood.takes(about["uid"], _words(event), now):
            return
        try:
            await self._cluster.create(event)
        except Conflict:
            return  # told already
        except ApiUnavailable:
            raise
        except CaisError as error:
            _log.warning("the Event %s could not be written: %s", event["reason"], error)


def events(
    body: Object, before: Mapping[str, Any], after: Mapping[str, Any], now: datetime
) -> Iterator[Object]:
    """Yield an Event for each condition whose status or reason changed; equal words once."""
    known = {one["type"]: one for one in before.get("conditions") or ()}
    told = set()
    # the worse first: `Ready` and `Stalled` have the same words, and one Event
    for condition in sorted(after.get("conditions") or (), key=_is_bad, reverse=True):
        old = known.get(condition["type"], {})
        same = all(old.get(part) == condition.get(part) for part in ("status", "reason"))
        words = (condition.get("reason"), condition.get("message"))
        if same or words in told or condition.get("status") == "Unknown" or _is_run(condition):
            continue
        told.add(words)
        yield _event(body, condition, now)
    for one in (*_runs(before, after), *_rotations(before, after)):
        yield _event(body, one, now)


def _words(event: Object) -> tuple[str, ...]:
    """Return what makes an Event another one than those before it."""
    reason = event["reason"]
    return event["type"], reason, event["message"], event["firstTimestamp"] * (reason in _EACH)


def is_same(body: Mapping[str, Any], written: Mapping[str, Any]) -> bool:
    """Return whether the status is all that has changed since a Registry was read."""
    return _told_by_people(body) == _told_by_people(written)


def _told_by_people(body: Mapping[str, Any]) -> tuple[object, ...]:
    metadata = {key: one for key, one in body["metadata"].items() if key not in _OF_THE_SERVER}
    return metadata, body.get("spec")


def _is_run(condition: Mapping[str, Any]) -> bool:
    """Whether a condition only repeats how a run ended: each run has an Event of its own."""
    return bool(condition["type"] == _COLLECTED and condition["reason"] != "Missed")


def _runs(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the garbage collections that ended since, in the shape of conditions."""
    known, found = (status.get("garbageCollection") or {} for status in (before, after))
    if found.get("lastRunTime") not in (None, known.get("lastRunTime")):
        for one in after.get("conditions") or ():
            if _is_run(one):
                is_good = one["status"] == "True"
                reason = _COLLECTED if is_good else "GarbageCollectionFailed"
                yield {**one, "reason": reason}
    dry = found.get("lastDryRun") or {}
    if dry and dry != known.get("lastDryRun"):
        reason = "GarbageCollectionDryRun"
        yield {"type": reason, "status": "True", "reason": reason, "message": dry["message"]}


def _told(reason: str, message: str) -> Mapping[str, Any]:
    return {"type": reason, "status": "True", "reason": reason, "message": message}


def _rotations(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the passwords that clients can read since, in the shape of conditions."""
    known, found = (
        {one["user"]: one for one in status.get("rotations") or ()} for status in (before, after)
    )
    for user in sorted(known.keys() | found.keys()):
        old, new = known.get(user, {}), found.get(user, {})
        ends = (old.get(_END), new.get(_END))
        message = new.get("message", f"user {user} has a new password, and only that")
        if ends[0] != ends[1] is not None or (old and not new and ends[0] is None):
            yield _told("PasswordRotated", message)


def _event(body: Object, condition: Mapping[str, Any], now: datetime) -> Object:
    metadata = body["metadata"]
    reason, message = str(condition["reason"]), str(condition.get("message") or "")[:_LONGEST]
    time = now.strftime("%Y-%m-%dT%H:%M:%SZ")
    text = "\n".join((metadata["uid"], condition["type"], reason, message, time))
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{metadata['name']}.{digest}", "namespace": metadata["namespace"]},
        "involvedObject": {
            "apiVersion": body.get("apiVersion", names.API_VERSION),
            "kind": body.get("kind", names.KIND),
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "uid": metadata["uid"],
        },
        "type": "Warning" if _is_bad(condition) else "Normal",
        "reason": reason,
        "message": message or reason,
        "source": {"component": names.MANAGER},
        "reportingComponent": names.MANAGER,
        "reportingInstance": names.MANAGER,
        "firstTimestamp": time,
        "lastTimestamp": time,
        "count": 1,
    }


def _is_bad(condition: Mapping[str, Any]) -> bool:
    """Only what a person must act on is a warning; not being ready yet is not."""
    if condition["reason"] in _WARNED:
        return True
    bad = {
        "GarbageCollected": "False",
        "RetentionApplied": "False",
        "Stalled": "True",
        "StoragePressure": "True",
    }
    return bool(condition["status"] == bad.get(condition["type"]))
