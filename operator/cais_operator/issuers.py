# SPDX-License-Identifier: Apache-2.0
"""Refusals of a spec for its issuers of tokens, and for whom rules name by them. Pure."""

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta

from cais_operator import names
from cais_operator.errors import Problem
from cais_operator.resource import Registry

_LONGEST = timedelta(hours=24)
_SHORTEST = timedelta(seconds=1)


def problems(registry: Registry) -> Iterator[Problem]:
    """Yield what the server would refuse with all of its configuration.

    Looked for: issuers that cannot be told apart, from each other and from the registry's own
    tokens; names of Kubernetes; times out of bounds; identities of no issuer.
    """
    yield from _names(registry)
    yield from _subjects(registry)


def _names(registry: Registry) -> Iterator[Problem]:
    access = registry.spec.access
    called = Counter(one.issuer for one in access.issuers)
    known = Counter(one.name for one in access.issuers)
    for at, one in enumerate(access.issuers):
        field = f"spec.access.issuers[{at}]"
        if one.name == "system":
            rule = "is what Kubernetes calls its own; choose another name"
            yield Problem(field=f"{field}.name", value=one.name, rule=rule)
        if known[one.name] > 1:
            rule = "names of issuers must differ from each other"
            yield Problem(field=f"{field}.name", value=one.name, rule=rule)
        if called[one.issuer] > 1:
            rule = "may be named once: the server tells them apart by it"
            yield Problem(field=f"{field}.issuer", value=one.issuer, rule=rule)
        if one.issuer == names.inside(registry):
            rule = "is the issuer of the registry's own tokens; another one needs another name"
            yield Problem(field=f"{field}.issuer", value=one.issuer, rule=rule)
        if not _SHORTEST <= one.max_lifetime.delta <= _LONGEST:
            field, value = f"{field}.maxLifetime", str(one.max_lifetime)
            yield Problem(field=field, value=value, rule="must be from 1s to 24h")


def _subjects(registry: Registry) -> Iterator[Problem]:
    known = {one.name for one in registry.spec.access.issuers}
    words = ", ".join(sorted(known)) or "none"
    for at, named in enumerate(registry.spec.access.rules):
        for here, name in enumerate(named.identities):
            if name.partition(":")[0] not in known:
                text = f"is of no issuer of spec.access.issuers; known are {words}"
                field = f"spec.access.rules[{at}].identities[{here}]"
                yield Problem(field=field, value=name, rule=text)
