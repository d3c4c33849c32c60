# SPDX-License-Identifier: Apache-2.0
"""Requests to an API server as one speaks of them, and what can be done to one. No effects."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

_VERBS = {"POST": "create", "PUT": "replace", "PATCH": "patch", "DELETE": "delete"}
WRITES = frozenset(_VERBS.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request.

    Attributes:
        verb: list, watch, get, create, replace, patch or delete.
        resource: Plural; the path where it is none.
        namespace: Empty for all.
        name: Empty for lists and Events, whose names are made up anew each time.
        sub: Such as `status`.
        number: Which of its kind this is, from 1.
    """

    verb: str
    resource: str
    namespace: str = ""
    name: str = ""
    sub: str = ""
    number: int = 0

    @property
    def what(self) -> str:
        parts = (self.resource, self.name, self.sub)
        return f"{self.verb} {'/'.join(part for part in parts if part)}"

    @property
    def is_write(self) -> bool:
        return self.verb in WRITES

    def __str__(self) -> str:
        return f"{self.what} #{self.number}"


def call_of(method: str, path: str, query: Mapping[str, str], body: bytes) -> Call:
    """Read a request; its number is not known here."""
    parts = path.strip("/").split("/")
    rest = parts[3:] if parts[0] == "apis" else parts[2:]
    if not rest:  # discovery
        return Call(verb="get", resource=path)
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2:
        namespace, rest = rest[1], rest[2:]
    resource, name, sub = (*rest, "", "")[:3]
    verb = _VERBS.get(method, "get" if name else "list")
    if query.get("watch") in ("true", "1"):
        verb = "watch"
    if verb == "create" and resource != "events":
        name = json.loads(body)["metadata"]["name"]
    if resource == "events":
        name = ""
    return Call(verb=verb, resource=resource, namespace=namespace, name=name, sub=sub)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What is done to a call; in this order.

    Attributes:
        kill_before: End the operator by SIGKILL; the API server never hears of the call.
        hang: Say nothing, for ever.
        cut_before: Break the connection; the API server never hears of the call.
        status: Answer this instead of the API server.
        headers: Of that answer.
        body: Of that answer; else a `Status`.
        hold: Keep the call until the proxy no longer holds; then go on.
        lasts: Seconds after which a watch is ended; None leaves it to the API server.
        kill_after: Let the API server do it, then end the operator without an answer.
        pause_after: Let the API server do it, pause the operator by SIGSTOP, then answer.
        cut_after: Let the API server do it, then break the connection.
    """

    kill_before: bool = False
    hang: bool = False
    cut_before: bool = False
    status: int = 0
    headers: Mapping[str, str] | None = None
    body: bytes | None = None
    hold: bool = False
    lasts: float | None = None
    kill_after: bool = False
    pause_after: bool = False
    cut_after: bool = False

    def answer(self) -> bytes:
        if self.body is not None:
            return self.body
        said = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": self.status}
        return json.dumps({**said, "message": "as the test has it"}).encode()


def expired() -> Fault:
    """A watch whose resourceVersion is too old, as an API server says it."""
    return told(410)


def told(code: int) -> Fault:
    """A watch that says at once what is wrong, and ends."""
    said = {"kind": "Status", "code": code, "reason": "Expired", "message": "as the test has it"}
    return Fault(status=200, body=json.dumps({"type": "ERROR", "object": said}).encode() + b"\n")
