# SPDX-License-Identifier: Apache-2.0
"""What an API server was asked, by whom and when: its audit log, read as it grows."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

# our client, and the library that tells of Registries; the other operator that is measured
OPERATOR: Final = ("cais-operator", "kopf", "PrometheusOperator")
WRITES: Final = ("create", "update", "patch", "delete", "deletecollection")


@dataclass(frozen=True, slots=True)
class Request:
    """One request.

    Attributes:
        agent: User agent.
        verb: As the API server calls it: get, list, watch, create, patch, ...
        resource: Plural name, with the subresource if any.
        key: Namespace and name.
        begun: When it was received, seconds since the epoch.
        ended: When it was answered; of a watch, when it ended.
    """

    agent: str
    verb: str
    resource: str
    key: tuple[str, str]
    begun: float
    ended: float

    @property
    def is_write(self) -> bool:
        return self.verb in WRITES

    @property
    def is_ours(self) -> bool:
        """Whether the operator that is measured has asked."""
        return self.agent.startswith(OPERATOR)


@dataclass(slots=True)
class Audit:
    """A log that is read from where it was left."""

    path: Path
    _offset: int = field(default=0)

    def more(self) -> list[Request]:
        """What was answered since the last call; watches when they have begun."""
        with self.path.open("rb") as file:
            file.seek(self._offset)
            data = file.read()
        whole = data[: data.rfind(b"\n") + 1]
        self._offset += len(whole)
        return [one for line in whole.splitlines() if (one := _request(json.loads(line)))]


def _request(event: dict[str, object]) -> Request | None:
    is_watch = event["verb"] == "watch"
    if event["stage"] != ("ResponseStarted" if is_watch else "ResponseComplete"):
        return None
    about = event.get("objectRef")
    about = about if isinstance(about, dict) else {}
    sub = about.get("subresource")
    return Request(
        agent=str(event.get("userAgent", "")),
        verb=str(event["verb"]),
        resource=str(about.get("resource", event["requestURI"])) + (f"/{sub}" if sub else ""),
        key=(str(about.get("namespace", "")), str(about.get("name", ""))),
        begun=_seconds(event["requestReceivedTimestamp"]),
        ended=_seconds(event["stageTimestamp"]),
    )


def _seconds(stamp: object) -> float:
    return datetime.fromisoformat(str(stamp)).timestamp()


def kinds(requests: Iterable[Request]) -> Counter[str]:
    """How many there were of each verb and resource."""
    return Counter(f"{one.verb} {one.resource}" for one in requests)


def of_operator(requests: Iterable[Request]) -> list[Request]:
    """The operator's own, but for its Lease and its watches."""
    return [
        one for one in requests if one.is_ours and one.resource != "leases" and one.verb != "watch"
    ]
