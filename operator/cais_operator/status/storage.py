# SPDX-License-Identifier: Apache-2.0
"""The claim: is there room as asked for? Pure."""

from cais_operator import names
from cais_operator.observed import Live, Observed, ServerState, capacity, requested
from cais_operator.resource import Registry
from cais_operator.status.conditions import Condition

_TYPE = "StorageReady"


def condition(registry: Registry, observed: Observed) -> Condition:
    """Return StorageReady."""
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
