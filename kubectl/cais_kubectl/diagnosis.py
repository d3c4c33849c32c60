# SPDX-License-Identifier: Apache-2.0
"""What is wrong with a Registry and what to do about it, from what the cluster says. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from cais_kubectl import pods, registries
from cais_kubectl.api import Object
from cais_kubectl.findings import Finding
from cais_kubectl.output import moment_of

_GRACE: Final = timedelta(seconds=30)  # a new Registry is looked at within
_EXPIRES: Final = timedelta(days=7)
_RECENT: Final = timedelta(hours=1)  # of Events
_MOST_EVENTS: Final = 3
_GOOD: Final = {"StoragePressure": "False", "Stalled": "False", "Reconciling": "False"}
_ADVICE: Final = {
    "StorageReady": "look at the claim: kubectl -n {namespace} describe pvc {claim}",
    "CertificateReady": "docs/operations.md lists every reason under Certificates",
    "ServerReady": "look at the server: kubectl -n {namespace} logs deployment/{name}",
    "Exposed": "change spec.expose, or wait for the controller that gives the address",
    "IdentitiesReady": "put the issuer's public keys right, or take the issuer out of spec.access",
    "Writable": "delete images and collect (kubectl cais gc), or raise the limit in the spec",
    "GarbageCollected": "look at the Jobs: kubectl -n {namespace} get jobs; collect again with"
    " kubectl cais gc {name} -n {namespace} --wait",
    "RetentionApplied": "correct spec.retention; until then nothing is deleted by it",
    "StoragePressure": "delete images and collect (kubectl cais gc), or raise"
    " spec.storage.volume.size",
    "Ready": "look at the conditions: kubectl -n {namespace} describe registry {name}",
}
_BY_REASON: Final = {
    "ReadOnly": "as the spec asks; spec.readOnly: false takes pushes again",
    "TlsDisabled": "as the spec asks; leave spec.tls.disabled out to encrypt",
    "InvalidSpec": "change the spec: kubectl -n {namespace} edit registry {name}",
    "Rejected": "change the spec: kubectl -n {namespace} edit registry {name}",
    "ResizeBlocked": "name a storage class with allowVolumeExpansion, or put the size back",
}
_AS_ASKED: Final = ("ReadOnly", "TlsDisabled")


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What was read of a Registry's surroundings; None is what may not be read.

    Attributes:
        registry: The Registry.
        pods: Of its server.
        claim: That it uses; empty when it is not there.
        events: Of its namespace.
        now: Aware, UTC.
    """

    registry: Object
    pods: Sequence[Object] | None = None
    claim: Object | None = None
    events: Sequence[Object] = field(default_factory=tuple)
    now: datetime


def of(evidence: Evidence) -> list[Finding]:
    """Return what is wrong, the worst first; empty when all is well."""
    found = [
        *_seen(evidence),
        *_conditions(evidence.registry),
        *(one for pod in evidence.pods or () for one in pods.of(pod)),
        *_claim(evidence),
        *_dates(evidence),
    ]
    if found or not registries.is_ready(evidence.registry):
        found += _events(evidence)
    ranked = sorted(found, key=lambda one: one.rank)
    return list({one.what: one for one in reversed(ranked)}.values())[::-1]


def _seen(evidence: Evidence) -> Iterator[Finding]:
    """Tell of what keeps the operator from the newest spec."""
    registry = evidence.registry
    metadata = registry["metadata"]
    if metadata.get("deletionTimestamp"):
        yield Finding.note("it is being deleted", "wait, or look at its finalizers")
    if (registry.get("spec") or {}).get("paused"):
        yield Finding.note(
            "it is paused: the operator changes nothing", "spec.paused: false lets it work again"
        )
    created = moment_of(metadata.get("creationTimestamp"))
    is_new = created is not None and evidence.now - created < _GRACE
    if not registries.is_current(registry):
        seen = registries.status_of(registry).get("observedGeneration", "none")
        what = f"the operator has seen generation {seen} of the spec, not {metadata['generation']}"
        make = Finding.note if is_new else Finding.problem
        yield make(what, "wait some seconds; then `kubectl cais doctor` tells whether it works")


def _conditions(registry: Object) -> Iterator[Finding]:
    conditions = registries.conditions(registry)
    told = set()
    for kind, one in conditions.items():
        if kind in ("Ready", "Stalled", "Reconciling") or one["status"] == _good(kind):
            continue
        told.add(one.get("reason"))
        yield _judged(registry, kind, one)
    ready = conditions.get("Ready")
    if ready and ready["status"] != "True" and ready.get("reason") not in told:
        yield _judged(registry, "Ready", ready)


def _good(kind: str) -> str:
    return _GOOD.get(kind, "True")


def _judged(registry: Object, kind: str, condition: Mapping[str, Any]) -> Finding:
    reason = str(condition.get("reason"))
    text = _BY_REASON.get(reason) or _ADVICE.get(kind) or _ADVICE["Ready"]
    namespace, name = registries.key_of(registry)
    claim = (registries.status_of(registry).get("storage") or {}).get("claimName")
    todo = text.format(namespace=namespace, name=name, claim=claim or f"{name}-data")
    what = f"{kind}: {reason}: {condition.get('message')}"
    if reason in _AS_ASKED:
        return Finding.note(what, todo)
    breaks = registries.conditions(registry).get("Ready", {}).get("reason") == reason
    is_worse = breaks or kind == "Ready"
    return Finding.problem(what, todo) if is_worse else Finding.warning(what, todo)


def _claim(evidence: Evidence) -> Iterator[Finding]:
    claim = evidence.claim
    if not claim:
        return
    namespace, registry = registries.key_of(evidence.registry)
    name, status = claim["metadata"]["name"], claim.get("status") or {}
    if status.get("phase") == "Pending":
        storage_class = (claim.get("spec") or {}).get("storageClassName")
        of_class = f"of storage class {storage_class}" if storage_class else "without a class"
        yield Finding.problem(
            f"the claim {name} {of_class} has no volume yet",
            "its Events tell why; `kubectl cais doctor` looks at the storage classes",
        )
    for one in status.get("conditions") or ():
        if one.get("status") == "True" and one.get("type") == "FileSystemResizePending":
            yield Finding.warning(
                f"the claim {name} grows when its pod starts anew",
                f"kubectl -n {namespace} rollout restart deployment/{registry}",
            )


def _dates(evidence: Evidence) -> Iterator[Finding]:
    certificate = registries.status_of(evidence.registry).get("certificate") or {}
    end = moment_of(certificate.get("notAfter"))
    if end is not None and end - evidence.now < _EXPIRES:
        is_over = end <= evidence.now
        make = Finding.problem if is_over else Finding.warning
        yield make(
            f"the certificate {'ended' if is_over else 'ends'} at {certificate['notAfter']}",
            "it should have been renewed: see CertificateReady, and `kubectl cais doctor`",
        )


def _events(evidence: Evidence) -> Iterator[Finding]:
    """Repeat the newest warnings, each once: they say what conditions cannot know."""
    told = [
        one for one in evidence.events if one.get("type") == "Warning" and _is_ours(one, evidence)
    ]
    words: dict[str, None] = {}
    for one in sorted(told, key=_time_of, reverse=True):
        about = one["involvedObject"]
        words[f"{about['kind']} {about['name']}: {one.get('reason')}: {one.get('message')}"] = None
    for text in list(words)[:_MOST_EVENTS]:
        yield Finding.note(text, "a recent Event; it may be over by now")


def _is_ours(event: Object, evidence: Evidence) -> bool:
    moment = moment_of(_time_of(event))
    if moment is None or evidence.now - moment > _RECENT:
        return False
    about = event.get("involvedObject") or {}
    name = registries.key_of(evidence.registry)[1]
    mine = {("Registry", name), ("Deployment", name), ("CronJob", f"{name}-gc")}
    mine |= {("Pod", pod["metadata"]["name"]) for pod in evidence.pods or ()}
    if evidence.claim:
        mine.add(("PersistentVolumeClaim", evidence.claim["metadata"]["name"]))
    return (about.get("kind"), about.get("name")) in mine


def _time_of(event: Object) -> str:
    series = event.get("series") or {}
    times = (series.get("lastObservedTime"), event.get("lastTimestamp"), event.get("eventTime"))
    return str(next(filter(None, times), event["metadata"].get("creationTimestamp") or ""))
