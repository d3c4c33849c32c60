# SPDX-License-Identifier: Apache-2.0
"""The status of a Registry: what is, for a person and for a GitOps tool. Pure.

The conditions follow kstatus: `Ready` is always there; `Reconciling` and `Stalled` only while
they are true. Ready means that the registry does now what its spec asks.
"""

import hashlib
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from cais_operator import backend, names
from cais_operator.errors import Problem
from cais_operator.observed import Observed, capacity, requested
from cais_operator.resource import Registry
from cais_operator.status import (
    certificate,
    content,
    exposure,
    garbage,
    identities,
    passwords,
    retention,
    server,
    storage,
    writable,
)
from cais_operator.status.conditions import Condition, by_type, written

_TOLD = ("Writable", "GarbageCollected", "StoragePressure")  # by the server only


def of(
    registry: Registry, observed: Observed, problems: tuple[Problem, ...], now: datetime
) -> dict[str, Any]:
    """Return the whole status.

    Equal to `registry.status` when nothing changed, so that nothing needs to be written.

    Args:
        registry: Spec, and the status as it is (for transition times and the pace of usage).
        observed: What was found.
        problems: From `plan.problems`; any of them makes it Stalled.
        now: Aware, UTC.
    """
    before = by_type(registry.status)
    found = tuple(_conditions(registry, observed, problems, now))
    kept = [dict(before[one]) for one in _standing(registry, observed) if one in before]
    conditions = written(found, before, generation=registry.generation, now=now) + kept
    new = {
        "observedGeneration": registry.generation,
        "conditions": conditions,
        **_facts(registry, observed, now),
    }
    return dict(registry.status) if _is_same(registry.status, new) else new


def _standing(registry: Registry, observed: Observed) -> tuple[str, ...]:
    """What the server said last stands while it is silent, and not a moment longer."""
    if observed.server is not None and observed.server.error is None:
        return ()
    return (*_TOLD, retention.TYPE) if registry.spec.retention else _TOLD


def of_invalid(
    body: Mapping[str, Any], problems: tuple[Problem, ...], now: datetime
) -> dict[str, Any]:
    """Return the status of a Registry that `parse` refused: Stalled, the rest as it was."""
    status: Mapping[str, Any] = body.get("status") or {}
    before = by_type(status)
    generation = body["metadata"].get("generation", 0)
    found = tuple(_stalled("InvalidSpec", _sentence(problems)))
    gone = {"Reconciling", *_types(found)}
    kept = [dict(one) for kind, one in before.items() if kind not in gone]
    conditions = written(found, before, generation=generation, now=now) + kept
    new = {**status, "observedGeneration": generation, "conditions": conditions}
    return dict(status) if _is_same(status, new) else new


def _conditions(
    registry: Registry, observed: Observed, problems: tuple[Problem, ...], now: datetime
) -> Iterator[Condition]:
    parts = (
        storage.condition(registry, observed),
        certificate.condition(registry, observed, now),
        server.condition(registry, observed, now),
        exposure.condition(registry, observed),
        identities.condition(registry, observed),
        writable.condition(registry, observed),
    )
    if problems:
        yield from _stalled("InvalidSpec", _sentence(problems))
    elif observed.rejected is not None:
        yield from _stalled("Rejected", observed.rejected)
    else:
        yield from _ready(registry, [one for one in parts if one is not None])
    others = (
        garbage.condition(registry, observed, now),
        retention.condition(registry, observed),
        storage.pressure(observed.server),
    )
    yield from filter(None, (*parts, *others))


def _ready(registry: Registry, parts: list[Condition]) -> Iterator[Condition]:
    paused = "; paused: the operator changes nothing" if registry.spec.paused else ""
    lacking = [one for one in parts if one.is_lacking]
    # What a person has to do is told before what comes by itself.
    missing = min(lacking, key=_urgency, default=None)
    if missing is None:
        message = f"serving at {names.url(registry)}{paused}"
        yield Condition(type="Ready", status="True", reason="Serving", message=message)
        return
    message = missing.message + paused
    if missing.stalls:
        yield from _stalled(missing.reason, message)
        return
    yield Condition(type="Ready", status="False", reason=missing.reason, message=message)
    if missing.waits and not registry.spec.paused:
        yield Condition(
            type="Reconciling", status="True", reason=missing.reason, message=missing.message
        )


def _urgency(one: Condition) -> tuple[bool, bool]:
    """Rank conditions: the first is what a person has to do, the last what nobody knows yet."""
    return not one.stalls, one.status == "Unknown"


def _stalled(reason: str, message: str) -> Iterator[Condition]:
    yield Condition(type="Ready", status="False", reason=reason, message=message)
    yield Condition(type="Stalled", status="True", reason=reason, message=message)


def _sentence(problems: tuple[Problem, ...]) -> str:
    return "; ".join(str(problem) for problem in problems)


def _types(found: tuple[Condition, ...]) -> set[str]:
    return {one.type for one in found}


def _facts(registry: Registry, observed: Observed, now: datetime) -> dict[str, Any]:
    usage = content.usage(registry.status, observed.server, now)
    reclaimable = usage.get("bytesReclaimable")
    found = {
        **exposure.addresses(registry, observed),
        "version": _version(registry, observed),
        "caBundle": _bundle(registry, observed),
        "pullSecretName": names.pull_secret(registry),
        "storage": _storage(registry, observed, usage.get("bytes")),
        "quota": writable.quota(registry, usage.get("bytes")),
        "certificate": certificate.block(registry, observed),
        "garbageCollection": garbage.block(registry, observed, now, reclaimable),
        "usage": usage,
        "rotations": passwords.rotations(registry, observed, now),
    }
    return {key: value for key, value in found.items() if value}


def _version(registry: Registry, observed: Observed) -> str | None:
    """What the server said last of itself, while it is silent too."""
    said = observed.server.version if observed.server is not None else None
    return said or registry.status.get("version")


def _bundle(registry: Registry, observed: Observed) -> dict[str, str]:
    name = names.ca_config_map(registry)
    data = (observed.child("ConfigMap", name) or {}).get("data") or {}
    if "ca.crt" not in data:
        return {}
    return {"configMapName": name, "sha256": hashlib.sha256(data["ca.crt"].encode()).hexdigest()}


def _storage(registry: Registry, observed: Observed, used: int | None) -> dict[str, str]:
    shown = {} if used is None else {"used": content.shown(used)}
    s3 = registry.spec.storage.s3
    if s3 is not None:
        return {"bucket": f"{s3.bucket}/{backend.prefix(registry, s3)}", **shown}
    name = names.claim(registry)
    live = observed.child("PersistentVolumeClaim", name)
    sizes = {"requested": requested(live), "capacity": capacity(live)}
    found = {key: str(size) for key, size in sizes.items() if size is not None}
    return {"claimName": name, **found, **shown}


def _is_same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Compare two statuses; the API server may order conditions its own way."""
    rest = "conditions"
    return by_type(one) == by_type(other) and {k: v for k, v in one.items() if k != rest} == {
        k: v for k, v in other.items() if k != rest
    }
