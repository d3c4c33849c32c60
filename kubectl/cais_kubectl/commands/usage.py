# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import argparse
from datetime import UTC, datetime
from typing import Any, Final

from cais_kubectl import arguments, output, registries
from cais_kubectl.api import Object
from cais_kubectl.errors import OK
from cais_kubectl.session import Session

SUMMARY: Final = "what Registries hold, and how much room is left"
_MORE: Final = """\
Numbers of the status, which the operator brings up to date every five minutes at most; OLD says
how old they are. What garbage collection can give back is part of what is stored.
"""
_HEADINGS: Final = (
    *("NAMESPACE", "NAME", "REPOSITORIES", "TAGS", "STORED", "RECLAIMABLE", "QUOTA", "VOLUME"),
    "OLD",
)


def add_to(parser: argparse.ArgumentParser) -> None:
    """Add the command's flags."""
    parser.description = _MORE
    arguments.listing(parser)


def run(options: argparse.Namespace, session: Session) -> int:
    """Print a line for each Registry."""
    found = session.registries(options.name)
    if options.output != "table":
        print(output.structured([_as_object(one) for one in found], options.output))
    else:
        now = datetime.now(UTC)
        print(output.table(_HEADINGS, (_row(one, now) for one in found)))
    return OK


def _row(registry: Object, now: datetime) -> tuple[str, ...]:
    status = registries.status_of(registry)
    usage, quota = status.get("usage") or {}, status.get("quota") or {}
    return (
        *registries.key_of(registry),
        _number(usage.get("repositories")),
        _number(usage.get("tags")),
        output.size(usage.get("bytes")),
        output.size(usage.get("bytesReclaimable")),
        str(quota.get("limit") or ""),
        str((status.get("storage") or {}).get("capacity") or ""),
        output.age(usage.get("observedTime"), now),
    )


def _number(value: int | None) -> str:
    return "" if value is None else str(value)


def _as_object(registry: Object) -> dict[str, Any]:
    namespace, name = registries.key_of(registry)
    status = registries.status_of(registry)
    return output.only(
        {
            "namespace": namespace,
            "name": name,
            "usage": status.get("usage"),
            "quota": status.get("quota"),
            "storage": status.get("storage"),
        }
    )
