# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import argparse
from datetime import UTC, datetime
from typing import Any, Final

from cais_kubectl import arguments, diagnosis, findings, output, registries
from cais_kubectl.api import Api, Object
from cais_kubectl.errors import OK, WRONG, Forbidden, NotFound
from cais_kubectl.findings import Finding
from cais_kubectl.session import Session

SUMMARY: Final = "what is wrong with Registries, and what to do"
_MORE: Final = """\
Reads conditions, pods, Events and the claim. With a name, or with one Registry in the namespace,
it tells all that it found; with several, one line for each. Exit code 1: one is not Ready.
"""
_PODS: Final = "app.kubernetes.io/name=cais-registry,app.kubernetes.io/component=registry"


def add_to(parser: argparse.ArgumentParser) -> None:
    """Add the command's flags."""
    parser.description = _MORE
    arguments.listing(parser)


def run(options: argparse.Namespace, session: Session) -> int:
    """Tell about one Registry, or about several."""
    now = datetime.now(UTC)
    found = session.registries(options.name)
    told = [(one, diagnosis.of(evidence(session.api, one, now))) for one in found]
    if options.output != "table":
        print(output.structured([_as_object(*one) for one in told], options.output))
    elif not told:
        where = "this cluster" if session.place is None else f"namespace {session.place}"
        print(f"there is no Registry in {where}")
    elif len(told) == 1:
        print("\n".join(_in_full(*told[0], now)))
    else:
        print(output.table(_HEADINGS, (_row(*one, now) for one in told)))
    return OK if all(registries.is_ready(one) for one, _ in told) else WRONG


def evidence(api: Api, registry: Object, now: datetime) -> diagnosis.Evidence:
    """Read what is around a Registry; what may not be read is left out."""
    namespace, name = registries.key_of(registry)
    core = f"/api/v1/namespaces/{namespace}"
    labels = f"{_PODS},app.kubernetes.io/instance={name}"
    claim = (registries.status_of(registry).get("storage") or {}).get("claimName")
    return diagnosis.Evidence(
        registry=registry,
        pods=_list(api, f"{core}/pods", labelSelector=labels),
        claim=_one(api, f"{core}/persistentvolumeclaims/{claim}") if claim else None,
        events=_list(api, f"{core}/events", fieldSelector="type=Warning") or (),
        now=now,
    )


def _list(api: Api, path: str, **query: str) -> list[Object] | None:
    try:
        return api.items(path, **query)
    except Forbidden:
        return None


def _one(api: Api, path: str) -> Object | None:
    try:
        return api.get(path)
    except (Forbidden, NotFound):
        return None


_HEADINGS: Final = ("NAMESPACE", "NAME", "READY", "REASON", "URL", "AGE", "WHAT TO LOOK AT")


def _row(registry: Object, found: list[Finding], now: datetime) -> tuple[str, ...]:
    ready = registries.conditions(registry).get("Ready", {})
    worst = found[0].what if found else ""
    return (
        *registries.key_of(registry),
        _word(registry),
        str(ready.get("reason") or ""),
        str(registries.status_of(registry).get("url") or ""),
        output.age(registry["metadata"].get("creationTimestamp"), now),
        worst,
    )


def _word(registry: Object) -> str:
    if registries.is_ready(registry):
        return "True"
    status = str(registries.conditions(registry).get("Ready", {}).get("status") or "Unknown")
    return status if registries.is_current(registry) else "Unknown"


def _in_full(registry: Object, found: list[Finding], now: datetime) -> list[str]:
    status = registries.status_of(registry)
    ready = registries.conditions(registry).get("Ready", {})
    storage, quota = status.get("storage") or {}, status.get("quota") or {}
    room = " of ".join(filter(None, (storage.get("used"), storage.get("capacity"))))
    limit = f", quota {quota['used']} of {quota['limit']}" if "used" in quota else ""
    lines = [
        "{}/{}  Ready: {}  {}".format(
            *registries.key_of(registry), _word(registry), ready.get("reason") or ""
        ),
        f"        {status.get('url') or 'no address yet'}",
        f"        stored: {room or 'not known yet'}{limit}",
        f"        made {output.age(registry['metadata'].get('creationTimestamp'), now)} ago",
    ]
    told = findings.lines(found) if found else ["OK      nothing is wrong"]
    return [output.plain(line) for line in (*lines, *told)]


def _as_object(registry: Object, found: list[Finding]) -> dict[str, Any]:
    namespace, name = registries.key_of(registry)
    return output.only(
        {
            "namespace": namespace,
            "name": name,
            "ready": registries.is_ready(registry),
            "reason": registries.conditions(registry).get("Ready", {}).get("reason"),
            "url": registries.status_of(registry).get("url"),
            "findings": [one.as_object() for one in found],
        }
    )
