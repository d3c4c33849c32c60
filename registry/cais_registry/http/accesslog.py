# SPDX-License-Identifier: Apache-2.0
"""One line for every request: what, who, how long. No header but the user agent, no secret."""

from __future__ import annotations

from typing import Final

from cais_registry.http.requests import Request
from cais_registry.http.sinks import Sink
from cais_registry.http.stats import Done

LOGGER: Final = "cais.access"
_MOST_TEXT: Final = 256
_ERRORS: Final = 400


def write(request: Request, done: Done, *, user: str | None, sink: Sink) -> None:
    """Log a finished request; probes that went well are not worth a line.

    Args:
        request: The request.
        done: How it went.
        user: The verified name, None for someone anonymous.
        sink: Where the line goes.
    """
    if done.kind == "probe" and done.status < _ERRORS:
        return
    method, path = request.method[:20], _shown(request.path)
    fields: dict[str, object] = {
        "method": method,
        "path": path,
        "status": done.status,
        "bytes": done.sent,
        "received": done.received,
        "duration_ms": round(done.seconds * 1000, 1),
        "client": request.client,
        "user_agent": _shown(request.headers.get("user-agent", "")),
    }
    if request.query:
        namespace = request.parameter("ns")  # a mirror is told so for which registry it is asked
        if namespace is not None:
            fields["ns"] = _shown(namespace)
    if user is not None:
        fields["user"] = user
    sink(f"{method} {path} {done.status}", fields)


def _shown(text: str) -> str:
    """A client's text, cut, without characters that steer terminals or end lines."""
    cut = text[:_MOST_TEXT]
    return cut if cut.isprintable() else ascii(cut)[1:-1]
