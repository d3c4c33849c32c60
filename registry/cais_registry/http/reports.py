# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any, Final

from cais_registry.http.deps import Deps
from cais_registry.http.errors import NoSuchPage
from cais_registry.http.requests import Request
from cais_registry.http.responses import Headers, Response, to_json
from cais_registry.model.errors import PaginationInvalid
from cais_registry.stores.report_rows import ReportLine

MOST_LINES: Final = 500
_MOST_DIGITS: Final = 18


async def show(deps: Deps, request: Request, run_id: str) -> Response:
    """Answer `/cais/v1/gc/<id>/report`: what retention took, or would take, page by page."""
    if await deps.core.collector.run(run_id) is None:
        raise NoSuchPage("there is no such run of garbage collection (any more)")
    limit = min(_number(request, "n", MOST_LINES), MOST_LINES)
    after = _number(request, "last", 0)
    lines = await deps.core.collector.report(run_id, after=after, limit=limit)
    more: Headers = ()
    if lines and len(lines) == limit:
        more = (("Link", f'<{request.path}?n={limit}&last={lines[-1].n}>; rel="next"'),)
    return to_json({"items": [_describe(line) for line in lines]}, headers=more)


def _describe(line: ReportLine) -> dict[str, Any]:
    return {
        "n": line.n,
        "kind": line.kind.value,
        "repository": line.repository,
        "reference": line.reference,
        "digest": line.digest,
        "reason": line.reason,
        "dryRun": line.dry_run,
    }


def _number(request: Request, name: str, default: int) -> int:
    text = request.parameter(name)
    if text is None:
        return default
    if not text.isascii() or not text.isdigit() or len(text) > _MOST_DIGITS:
        raise PaginationInvalid(f"{name}={text[:20]!r} is not a number, like 100")
    return int(text)
