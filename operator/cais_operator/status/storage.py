# SPDX-License-Identifier: Apache-2.0
"""The claim: is there room as asked for? Pure."""

from cais_operator import backend, names
from cais_operator.observed import Live, Observed, ServerState, capacity, has_serving_pod, requested
from cais_operator.resource import Registry
from cais_operator.status.conditions import Condition

_TYPE = "StorageReady"


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


def _room(name: str, live: Live) -> Condition:
    wants, has = requested(live), capacity(live)
    if wants is not None and has is not None and has < wants:
        return _not_yet("Resizing", f"the volume of claim {name} grows from {has} to {wants}")
    message = f"the claim {name} has a volume of {has or 'unknown size'}{_of_class(live)}"
    return Condition(type=_TYPE, status="True", reason="Bound", message=message)


def _of_class(live: Live) -> str:
    name = (live.get("spec") or {}).get("storageClassName")
    return f" of storage class {name}" if name else ""


def _not_yet(reason: str, message: str) -> Condition:
    return Condition(type=_TYPE, status="False", reason=reason, message=message)
