# SPDX-License-Identifier: Apache-2.0
"""The status of a RegistryAccess, in words that both sides understand. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cais_operator import names
from cais_operator.consumers import Account, Credential, Refusal
from cais_operator.errors import Problem
from cais_operator.resource import RegistryAccess
from cais_operator.status.conditions import Condition, by_type, stamp, written


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is there.

    Attributes:
        address: `host:port` that image names begin with.
        credential: What the Secret holds.
    """

    address: str
    credential: Credential


def of(
    access: RegistryAccess, ready: Condition, facts: Facts | None, now: datetime
) -> dict[str, Any]:
    """Return the whole status; equal to what it was when nothing changed.

    Args:
        access: For the status as it is.
        ready: The condition Ready.
        facts: None while the Secret holds nothing that is known to work.
        now: Aware, UTC.
    """
    found = {"observedGeneration": access.generation, **_conditions(access, ready, now)}
    if facts is None:
        return found
    issued = facts.credential.issued
    rotation = access.spec.rotation
    return {
        **found,
        "registry": facts.address,
        "username": names.account(access),
        "secretName": access.spec.secret_name,
        "credential": {
            "issuedTime": stamp(issued),
            "rotationTime": stamp(issued + rotation.every.delta),
        },
    }


def of_invalid(
    body: Mapping[str, Any], problems: Iterable[Problem], now: datetime
) -> dict[str, Any]:
    """Return the status of a RegistryAccess whose spec cannot be read."""
    status: Mapping[str, Any] = body.get("status") or {}
    generation = body["metadata"].get("generation", 0)
    message = "; ".join(map(str, problems))
    found = _with_kstatus(failed("InvalidSpec", message))
    conditions = written(found, by_type(status), generation=generation, now=now)
    return {"observedGeneration": generation, "conditions": conditions}


def granted(access: RegistryAccess, account: Account, missing: tuple[str, ...]) -> Condition:
    """Return Ready once the Secret holds a password that works.

    Args:
        access: What was asked.
        account: What the server is known to have.
        missing: ServiceAccounts that are not there.
    """
    spec, registry = access.spec, "/".join(access.registry)
    if account.loaded != access.generation:
        message = f"the server of Registry {registry} has not loaded the rule as it is now"
        return waiting("RuleLoading", message)
    if missing:
        message = (
            f"Secret {spec.secret_name} works, but this namespace has no ServiceAccount "
            f"{', '.join(missing)}: create it, or correct spec.serviceAccounts"
        )
        return waiting("ServiceAccountMissing", message)
    message = (
        f"Secret {spec.secret_name} allows {', '.join(spec.actions)} in "
        f"{', '.join(spec.repositories)} of Registry {registry}"
    )
    return Condition(type="Ready", status="True", reason="Granted", message=message)


def pending(access: RegistryAccess, lacking: Refusal | None) -> Condition:
    """Return Ready while the server is not known to take any password of the account.

    Args:
        access: What was asked.
        lacking: Why there is no room for the account; None when there is.
    """
    if lacking is not None:
        return refused(lacking)
    message = (
        f"allowed; the server of Registry {'/'.join(access.registry)} has not taken in the account "
        "yet, because it is not ready"
    )
    return waiting("AccountPending", message)


def refused(refusal: Refusal) -> Condition:
    """Return Ready for what is not allowed."""
    condition = waiting(refusal.reason, refusal.message)
    return condition if refusal.waits else failed(refusal.reason, refusal.message)


def waiting(reason: str, message: str) -> Condition:
    """Return a Ready that becomes true by itself, or when the other side does something."""
    return Condition(type="Ready", status="False", reason=reason, message=message)


def failed(reason: str, message: str) -> Condition:
    """Return a Ready that stays false until somebody changes something here."""
    return Condition(type="Ready", status="False", reason=reason, message=message, waits=False)


def _conditions(access: RegistryAccess, ready: Condition, now: datetime) -> dict[str, Any]:
    before = by_type(access.status)
    found = _with_kstatus(ready)
    return {"conditions": written(found, before, generation=access.generation, now=now)}


def _with_kstatus(ready: Condition) -> tuple[Condition, ...]:
    if ready.status == "True":
        return (ready,)
    kind = "Reconciling" if ready.waits else "Stalled"
    same = Condition(type=kind, status="True", reason=ready.reason, message=ready.message)
    return ready, same
