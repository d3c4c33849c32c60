# SPDX-License-Identifier: Apache-2.0
"""The claim: is there room as asked for? Pure."""

from collections.abc import Mapping
from typing import Any

from cais_operator import backend, names
from cais_operator.observed import Live, Observed, ServerState, capacity, has_serving_pod, requested
from cais_operator.resource import Registry
from cais_operator.status.conditions import Condition

_TYPE = "StorageReady"
_FAILURES = ("ControllerResizeError", "NodeResizeError")
_LONGEST = 300  # characters of a controller's words
_ALLOW = (
    "let its storage class allow expansion, or leave spec.storage.volume out: that keeps the "
    "claim as it is"
)
_MAKE_ROOM = "make room where its storage class keeps volumes: it is tried again by itself"


def condition(registry: Registry, observed: Observed) -> Condition:
    """Return StorageReady."""
    s3 = registry.spec.storage.s3
    if s3 is not None:
        return _reached(f"{s3.bucket}/{backend.prefix(registry, s3)}", registry, observed)
    name = names.claim(registry)
    live = observed.child("PersistentVolumeClaim", name)
    if live is None:
        return _not_yet("ClaimMissing", f"the claim {name} is not there yet")
    phase = (live.get("status") or {}).get("phase", "Pending")
    if phase == "Lost":
        message = f"the claim {name} has lost its volume: restore the PersistentVolume"
        return Condition(
            type=_TYPE, status="False", reason="ClaimLost", message=message, waits=False
        )
    if phase != "Bound":
        return _not_yet("ClaimPending", f"the claim {name} waits for a volume{_of_class(live)}")
    if observed.resize is not None:
        return _blocked(name, live, f"{observed.resize}; {_ALLOW}")
    return _room(name, live)


def _reached(bucket: str, registry: Registry, observed: Observed) -> Condition:
    """A server is ready only while bucket and database answer it; nobody else asks them."""
    if has_serving_pod(observed.child("Deployment", names.deployment(registry))):
        message = f"the servers reach the bucket {bucket} and the database"
        return Condition(type=_TYPE, status="True", reason="Reached", message=message)
    if any(map(_lacks_something, observed.pods)):
        message = (
            f"a server runs and does not reach the bucket {bucket} or the database: see its log "
            f"(kubectl logs deployment/{names.deployment(registry)}), and spec.storage.s3 and "
            "spec.database"
        )
        return _not_yet("NotReached", message)
    message = f"no server runs that could reach the bucket {bucket} and the database"
    return Condition(type=_TYPE, status="Unknown", reason="NoServer", message=message)


def _lacks_something(pod: Live) -> bool:
    """Whether a server has started, and is not ready to serve."""
    containers = (pod.get("status") or {}).get("containerStatuses") or ()
    return any(one.get("started") and not one.get("ready") for one in containers)


def pressure(server: ServerState | None) -> Condition | None:
    """Return StoragePressure; None when the server did not say. It never touches Ready."""
    usage = server.usage if server else None
    if usage is None or "storagePressure" not in usage:
        return None
    if usage["storagePressure"]:
        message = (
            "the volume is getting full: what was deleted is reclaimed out of schedule; delete "
            "images, or raise spec.storage.volume.size"
        )
        return Condition(
            type="StoragePressure", status="True", reason="DiskGettingFull", message=message
        )
    message = "there is ample room on the volume"
    return Condition(type="StoragePressure", status="False", reason="AmpleRoom", message=message)


def _blocked(name: str, live: Live, why: str) -> Condition:
    """A person has to act; the registry goes on with the volume that it has."""
    message = f"the volume of claim {name} stays at {capacity(live) or 'its size'}: {why}"
    return Condition(
        type=_TYPE, status="False", reason="ResizeBlocked", message=message, stalls=True
    )


def _infeasible(live: Live) -> str | None:
    """Return why whoever grows volumes has given up; None while that is not said."""
    status = live.get("status") or {}
    stages = status.get("allocatedResourceStatuses") or {}
    if str(stages.get("storage", "")).endswith("Infeasible"):
        return _said(status, *_FAILURES) or f"it says {stages['storage']}"
    return _said(status, *_FAILURES)


def _said(status: Mapping[str, Any], *types: str) -> str | None:
    """Return the words of the first of some conditions that holds."""
    for one in status.get("conditions") or ():
        if one.get("type") in types and one.get("status") == "True":
            return str(one.get("message") or one["type"])[:_LONGEST]
    return None


def _room(name: str, live: Live) -> Condition:
    wants, has = requested(live), capacity(live)
    if wants is not None and has is not None and has < wants:
        failed = _infeasible(live)
        if failed is not None:
            return _blocked(name, live, f"{failed}; {_MAKE_ROOM}")
        words = f"the volume of claim {name} grows from {has} to {wants}"
        waits = _said(live.get("status") or {}, "FileSystemResizePending")
        return _not_yet("Resizing", f"{words}: {waits}" if waits else words)
    message = f"the claim {name} has a volume of {has or 'unknown size'}{_of_class(live)}"
    return Condition(type=_TYPE, status="True", reason="Bound", message=message)


def _of_class(live: Live) -> str:
    name = (live.get("spec") or {}).get("storageClassName")
    return f" of storage class {name}" if name else ""


def _not_yet(reason: str, message: str) -> Condition:
    return Condition(type=_TYPE, status="False", reason=reason, message=message)
