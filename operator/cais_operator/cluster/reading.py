# SPDX-License-Identifier: Apache-2.0
"""What the API server says, as plain objects; of a list one at a time, as pages are large. Pure."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from cais_operator.cluster.errors_map import UNREACHABLE, error_from, unavailable
from cais_operator.cluster.interface import Object, WatchEvent

_read = msgspec.json.Decoder().decode


class _List(msgspec.Struct):
    """A list whose items are still text."""

    metadata: dict[str, Any] = msgspec.field(default_factory=dict)
    items: list[msgspec.Raw] | None = None


_read_list = msgspec.json.Decoder(_List).decode


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadPage:
    """A page of a list.

    Attributes:
        version: The list's resourceVersion.
        next: What to ask for the page after it with; empty when there is none.
        items: The objects, as text.
    """

    version: str
    next: str
    items: tuple[msgspec.Raw, ...]

    def objects(self, subject: str) -> Iterator[Object]:
        """Yield each object as it is asked for: nobody needs all of them in memory at a time.

        Raises:
            ApiUnavailable: When one cannot be read; it names the subject.
        """
        return (read(one, subject) for one in self.items)


def read(answer: bytes | msgspec.Raw, subject: str) -> Object:
    """Return the object that JSON tells.

    Args:
        answer: Of the API server, or a part of it.
        subject: What the request was about, for messages.

    Raises:
        ApiUnavailable: When it is no JSON.
    """
    try:
        found: Object = _read(answer)
    except UNREACHABLE as error:
        raise unavailable(subject, error) from error
    return found


def read_page(answer: bytes, subject: str) -> ReadPage:
    """Return a page of a list.

    Args:
        answer: Of the API server.
        subject: What the request was about, for messages.

    Raises:
        ApiUnavailable: When it is no list.
    """
    try:
        found = _read_list(answer)
    except UNREACHABLE as error:
        raise unavailable(subject, error) from error
    return ReadPage(
        version=str(found.metadata.get("resourceVersion", "")),
        next=str(found.metadata.get("continue") or ""),
        items=tuple(found.items or ()),
    )


def read_event(line: bytes, subject: str) -> WatchEvent:
    """Return what a line of a watch tells.

    Args:
        line: Of the API server.
        subject: What is watched, for messages.

    Raises:
        ApiUnavailable: When it is no JSON.
        CaisError, Expired: When it says why the watch ends.
    """
    said = read(line, subject)
    event = WatchEvent(type=said["type"], object=said["object"])
    if event.type == "ERROR":
        body = json.dumps(event.object).encode()
        raise error_from(int(event.object.get("code", 500)), {}, body, subject)
    return event
