# SPDX-License-Identifier: Apache-2.0
"""One line for every request: what, who, how long. No header but the user agent, no secret."""

from __future__ import annotations

import logging
from typing import Final

from cais_registry.http.requests import Request
from cais_registry.http.stats import Done

_MOST_TEXT: Final = 256
_logger = logging.getLogger("cais.access")


def write(request: Request, done: Done, *, user: str | None) -> None:
    """Log a finished request; probes that went well are for debugging only.

    Args:
        request: The request.
        done: How it went.
        user: The verified name, None for someone anonymous.
    """
    level = logging.DEBUG if done.kind == "probe" and done.status < 400 else logging.INFO  # noqa: PLR2004 - the errors begin there
    if not _logger.isEnabledFor(level):
        return
    fields: dict[str, object] = {
        "method": request.method[:20],
        "path": request.path[:_MOST_TEXT],
        "status": done.status,
        "bytes": done.sent,
        "received": done.received,
        "duration_ms": round(done.seconds * 1000, 1),
        "client": request.client,
        "user_agent": request.headers.get("user-agent", "")[:_MOST_TEXT],
    }
    namespace = request.parameter("ns")  # a mirror is told so for which registry it is asked
    if namespace is not None:
        fields["ns"] = namespace[:_MOST_TEXT]
    if user is not None:
        fields["user"] = user
    _logger.log(level, "%s %s %d", request.method, fields["path"], done.status, extra=fields)
