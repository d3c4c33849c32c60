# SPDX-License-Identifier: Apache-2.0
"""Rights that roles grant, and those of them that a run has used, by the API server's audit log."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

Event = Mapping[str, Any]


@dataclass(frozen=True, slots=True, order=True)
class Right:
    """One verb on one resource.

    Attributes:
        group: API group; empty is the core one.
        resource: Plural, with its subresource after a slash.
        verb: As in a rule of a role.
        name: The one object that it is for; empty means all.
    """

    group: str
    resource: str
    verb: str
    name: str = ""

    def __str__(self) -> str:
        return f"{self.verb} {self.resource}.{self.group} {self.name}".rstrip(". ")


def granted(role: Mapping[str, Any]) -> set[Right]:
    """All that a Role or ClusterRole grants."""
    return {
        Right(group, resource, verb, name)
        for rule in role["rules"]
        for group, resource, verb, name in product(
            rule["apiGroups"], rule["resources"], rule["verbs"], rule.get("resourceNames", [""])
        )
    }


def unused(rights: Iterable[Right], events: Iterable[Event]) -> list[Right]:
    """Those rights that no request has made use of, of those that were allowed."""
    used = {right for event in events for right in _used(event)}
    both = used | {Right(one.group, one.resource, one.verb) for one in used}
    return sorted(right for right in rights if right not in both)


def _used(event: Event) -> Iterable[Right]:
    found = event.get("objectRef") or {}
    if not found.get("resource") or event["responseStatus"]["code"] == 403:
        return
    sub = found.get("subresource")
    resource = f"{found['resource']}/{sub}" if sub else found["resource"]
    place = (found.get("apiGroup", ""), resource)
    yield Right(*place, event["verb"], found.get("name", ""))
    if event["verb"] == "patch" and event["responseStatus"]["code"] == 201:
        yield Right(*place, "create")  # an apply that creates needs both
