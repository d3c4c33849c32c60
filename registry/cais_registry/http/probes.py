# SPDX-License-Identifier: Apache-2.0
"""`/healthz`, `/readyz` and `/metrics`: without login, without anything that is worth one."""

from __future__ import annotations

from cais_registry.http import scrape
from cais_registry.http.deps import Deps
from cais_registry.http.responses import Response, to_json
from cais_registry.http.router import Probe


async def handle(deps: Deps, path: Probe) -> Response:
    """Answer a probe."""
    match path.name:
        case "healthz":
            return to_json({"status": "alive"})
        case "readyz":
            if await deps.core.ready():
                return to_json({"status": "ready"})
            return to_json(
                {"status": "the database or the object store does not answer"}, status=503
            )
        case _:
            return await _metrics(deps)


async def _metrics(deps: Deps) -> Response:
    from cais_registry.http import metrics  # noqa: PLC0415 - spares memory where nobody scrapes

    kind = ("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
    return Response(headers=(kind,), body=metrics.render(await scrape.take(deps)))
