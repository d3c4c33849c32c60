# SPDX-License-Identifier: Apache-2.0
"""Refusals: what a spec asks for that cannot or must not be done to what is there. Pure.

The CRD refuses most of it at apply time already; here it is checked again because an object can
be older than the CRD's rules, and because the CRD does not see other objects.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta

from cais_operator import backend, edge, issuers, names, versions
from cais_operator.consumers import selectors
from cais_operator.credentials import LONGEST_PASSWORD, PASSWORD, generated_secrets, password_in
from cais_operator.errors import Problem
from cais_operator.observed import Live, Observed, requested
from cais_operator.resource import Duration, Quantity, Registry, Volume

_LONGEST = timedelta(days=365)  # for which anything unused is kept
_DOTS = 2  # of a host name that is nobody's Service
_LARGEST_QUOTA = Quantity.parse("4Ei")
_SHORTEST = timedelta(hours=1)  # of a certificate's validity


def problems(registry: Registry, observed: Observed) -> tuple[Problem, ...]:
    """Return everything that stops this Registry from being reconciled.

    With a problem nothing is written but the status (Stalled); what runs goes on running.
    Looked for: an object of a child's name that is not ours; a claim that would shrink or change
    its class, or an existing claim that is missing; users named twice or like a generated one;
    rules for unknown users; issuers that cannot be told apart; a password Secret that is missing,
    lacks the key, or holds no usable password; what lacks of bucket and database; an unusable
    password in place of a generated one; host names inside the cluster's domain; two kinds of TLS;
    exposure of another type than its block is for, or without a host name; renewBefore not below
    validity; a version that the operator does not work with, or that lacks what is asked for; a
    quota of nothing; consumers selected by labels that the operator may not read.
    """
    return tuple(problem for check in _CHECKS for problem in check(registry, observed))


def _strangers(registry: Registry, observed: Observed) -> Iterator[Problem]:
    existing = registry.spec.storage.existing_claim
    for (kind, name), live in observed.children.items():
        if (kind, name) == ("PersistentVolumeClaim", existing) or is_ours(registry, live):
            continue
        rule = (
            f"{kind} {name} exists and is not of this Registry: remove it, or choose another name"
            if kind != "PersistentVolumeClaim"
            else f"the claim {name} exists and is not of this Registry: remove it, or, to use its "
            "data, make the Registry anew with its name in spec.storage.volume.existingClaim"
        )
        yield Problem(field="metadata.name", value=registry.name, rule=rule)


def is_ours(registry: Registry, live: Live) -> bool:
    """Return whether an object belongs to this Registry.

    Any one mark is enough, so that a child whose labels were edited is repaired and not refused:
    our labels, our owner reference, or the annotation that a kept claim carries.
    """
    metadata = live.get("metadata") or {}
    labels = metadata.get("labels") or {}
    owners = metadata.get("ownerReferences") or []
    return (
        (labels.get(names.MANAGED_BY), labels.get(names.INSTANCE)) == (names.MANAGER, registry.name)
        or any(owner.get("uid") == registry.uid for owner in owners)
        or (metadata.get("annotations") or {}).get(names.OWNER) == registry.name
    )


def _claim(registry: Registry, observed: Observed) -> Iterator[Problem]:
    volume = registry.spec.storage.mounted
    if volume is None:
        return
    field = "spec.storage.volume"
    live = observed.child("PersistentVolumeClaim", names.claim(registry))
    if volume.existing_claim is not None:
        if live is None:
            rule = "there is no such claim in this namespace: create it, or leave the field out"
            yield Problem(field=f"{field}.existingClaim", value=volume.existing_claim, rule=rule)
        return
    if not volume.size.amount:
        yield Problem(field=f"{field}.size", value=str(volume.size), rule="must be more than zero")
    if live is not None:
        yield from _claim_changes(volume, live, field)


def _claim_changes(volume: Volume, live: Live, field: str) -> Iterator[Problem]:
    before = requested(live)
    if before is not None and volume.size < before and volume.size != Volume().size:
        rule = f"a volume cannot shrink: the claim has {before} already, ask for that or more"
        yield Problem(field=f"{field}.size", value=str(volume.size), rule=rule)
    wanted, has = volume.storage_class_name, (live.get("spec") or {}).get("storageClassName")
    if wanted is not None and has is not None and wanted != has:
        rule = f"the storage class cannot change: the claim is of class {has}"
        yield Problem(field=f"{field}.storageClassName", value=wanted, rule=rule)


def _users(registry: Registry, observed: Observed) -> Iterator[Problem]:
    del observed
    count = Counter(user.name for user in registry.spec.access.users)
    for at, user in enumerate(registry.spec.access.users):
        field = f"spec.access.users[{at}].name"
        if user.name in names.GENERATED_USERS:
            rule = f"is generated for every Registry, as are {_list(names.GENERATED_USERS)}"
            yield Problem(field=field, value=user.name, rule=rule)
        if count[user.name] > 1:
            yield Problem(field=field, value=user.name, rule="names must differ from each other")


def _rules(registry: Registry, observed: Observed) -> Iterator[Problem]:
    del observed
    known = {user.name for user in registry.spec.access.users}
    for at, rule in enumerate(registry.spec.access.rules):
        if not rule.users and not rule.service_accounts and not rule.identities:
            text = "must name users, serviceAccounts or identities"
            yield Problem(field=f"spec.access.rules[{at}]", value=None, rule=text)
        for here, user in enumerate(rule.users):
            if user not in known:
                text = f"is no user of spec.access.users; known are {_list(sorted(known))}"
                field = f"spec.access.rules[{at}].users[{here}]"
                yield Problem(field=field, value=user, rule=text)


def _issuers(registry: Registry, observed: Observed) -> Iterator[Problem]:
    del observed
    return issuers.problems(registry)


def _references(registry: Registry, observed: Observed) -> Iterator[Problem]:
    for at, user in enumerate(registry.spec.access.users):
        ref = user.password_secret_ref
        if ref is None:
            continue
        field = f"spec.access.users[{at}].passwordSecretRef"
        secret = observed.references.get(ref.name)
        if secret is None:
            rule = "there is no such Secret in this namespace: create it with the password"
            yield Problem(field=f"{field}.name", value=ref.name, rule=rule)
        elif ref.key not in (secret.get("data") or {}):
            rule = f"Secret {ref.name} has no such key"
            yield Problem(field=f"{field}.key", value=ref.key, rule=rule)
        elif password_in(secret, ref.key) is None:
            rule = f"must hold a password of 1 to {LONGEST_PASSWORD} bytes of printable text"
            yield Problem(field=f"{field}.key", value=ref.key, rule=f"Secret {ref.name} {rule}")


def _backend(registry: Registry, observed: Observed) -> Iterator[Problem]:
    return backend.problems(registry, observed.references)


def _generated(registry: Registry, observed: Observed) -> Iterator[Problem]:
    """What somebody has put in place of a generated password."""
    for name in generated_secrets(registry).values():
        secret = observed.child("Secret", name)
        if PASSWORD in ((secret or {}).get("data") or {}) and password_in(secret) is None:
            rule = (
                f"must be 1 to {LONGEST_PASSWORD} bytes of printable text: put such a one, or "
                "delete the Secret to have one made; until then the password before it works on"
            )
            yield Problem(field=f"Secret {name}", value=PASSWORD, rule=rule)


def _hostnames(registry: Registry, observed: Observed) -> Iterator[Problem]:
    del observed
    for at, name in enumerate(registry.spec.expose.hostnames):
        if name.endswith(".svc") or ".svc." in name:
            rule = "may not be a Service's name: one CA signs for all registries of the cluster"
            yield Problem(field=f"spec.expose.hostnames[{at}]", value=name, rule=rule)
        elif (
            name.count(".") < _DOTS
        ):  # pods resolve <service>.<namespace> through their search path
            rule = "must have two dots at least, such as registry.example.com"
            yield Problem(field=f"spec.expose.hostnames[{at}]", value=name, rule=rule)


def _exposure(registry: Registry, observed: Observed) -> Iterator[Problem]:
    del observed
    return edge.problems(registry)


def _times(registry: Registry, observed: Observed) -> Iterator[Problem]:
    del observed
    collection = registry.spec.garbage_collection
    for field, time in (
        ("spec.garbageCollection.pushLease", collection.push_lease),
        ("spec.garbageCollection.undeleteWindow", collection.undelete_window),
        ("spec.access.rotationOverlap", registry.spec.access.rotation_overlap),
    ):
        if time.delta > _LONGEST:
            yield Problem(field=field, value=str(time), rule="may be at most 8760h, a year")


def _tls(registry: Registry, observed: Observed) -> Iterator[Problem]:
    del observed
    tls, hostnames = registry.spec.tls, registry.spec.expose.hostnames
    if len(tls.given) > 1:
        rule = "name exactly one of issued, secretRef, certManager and disabled"
        yield Problem(field="spec.tls", value=list(tls.given), rule=rule)
    if tls.issued is not None:
        yield from _life("issued", "validity", tls.issued.validity, tls.issued.renew_before)
    if tls.cert_manager is not None:
        asked = tls.cert_manager
        yield from _life("certManager", "duration", asked.duration, asked.renew_before)
        if asked.names == "Hostnames" and not hostnames:
            rule = "needs a name in spec.expose.hostnames"
            yield Problem(field="spec.tls.certManager.names", value=asked.names, rule=rule)
    if tls.secret_ref is not None and tls.secret_ref.name == names.tls_secret(registry):
        rule = "is the Secret that the operator copies the certificate to: name it differently"
        yield Problem(field="spec.tls.secretRef.name", value=tls.secret_ref.name, rule=rule)


def _life(kind: str, field: str, validity: Duration, renew_before: Duration) -> Iterator[Problem]:
    if renew_before >= validity:
        rule = f"must be less than the {field}, {validity}"
        yield Problem(field=f"spec.tls.{kind}.renewBefore", value=str(renew_before), rule=rule)
    if validity.delta < _SHORTEST:
        yield Problem(
            field=f"spec.tls.{kind}.{field}", value=str(validity), rule="must be at least 1h"
        )


def _version(registry: Registry, observed: Observed) -> Iterator[Problem]:
    del observed
    return versions.problems(registry)


def _quota(registry: Registry, observed: Observed) -> Iterator[Problem]:
    del observed
    quota = registry.spec.quota
    if quota is not None and not 0 < quota.amount <= _LARGEST_QUOTA.amount:
        rule = f"must be more than zero and at most {_LARGEST_QUOTA}"
        yield Problem(field="spec.quota", value=str(quota), rule=rule)


def _consumers(registry: Registry, observed: Observed) -> Iterator[Problem]:
    if observed.reads_labels:
        return
    for at, consumer in enumerate(registry.spec.consumers):
        for key in sorted(selectors.keys(consumer.namespace_selector) - {selectors.NAME_LABEL}):
            rule = (
                "this operator looks after named namespaces and may not read the labels of others: "
                f"select by {selectors.NAME_LABEL}, or install it for the whole cluster"
            )
            field = f"spec.consumers[{at}].namespaceSelector"
            yield Problem(field=field, value=key, rule=rule)


def _pod(registry: Registry, observed: Observed) -> Iterator[Problem]:
    del observed
    for field, keys in (
        ("labels", registry.spec.pod.labels),
        ("annotations", registry.spec.pod.annotations),
    ):
        for key in keys:
            if key.startswith(names.RESERVED_PREFIXES):
                rule = f"may not begin with {_list(names.RESERVED_PREFIXES)}"
                yield Problem(field=f"spec.pod.{field}", value=key, rule=rule)


def _list(words: Iterable[str]) -> str:
    return ", ".join(words) or "none"


_CHECKS: tuple[Callable[[Registry, Observed], Iterator[Problem]], ...] = (
    _strangers,
    _claim,
    _users,
    _rules,
    _issuers,
    _references,
    _backend,
    _generated,
    _hostnames,
    _exposure,
    _times,
    _tls,
    _version,
    _quota,
    _consumers,
    _pod,
)
