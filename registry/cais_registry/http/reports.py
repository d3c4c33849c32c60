# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta

from cais_registry.http.admin_views import View
from cais_registry.http.deps import Deps
from cais_registry.http.errors import NoSuchPage
from cais_registry.http.requests import Request
from cais_registry.http.responses import Headers, Response, to_json
from cais_registry.http.router import AdminPath
from cais_registry.model.errors import PaginationInvalid
from cais_registry.model.retention import Kind
from cais_registry.stores.report_rows import ReportLine

MOST_LINES: Final = 500
_MOST_DIGITS: Final = 18


class ReportLineView(View, frozen=True):
    """One thing that goes; `dryRun` is true when the rule only says so."""

    n: Annotated[int, Meta(ge=0, description="Its place; `last` of the next page.")]
    kind: Kind
    repository: str
    reference: str
    digest: str
    reason: str
    dry_run: bool


class Report(View, frozen=True):
    """What retention took, or would take."""

    items: tuple[ReportLineView, ...]


async def show(deps: Deps, request: Request, path: AdminPath) -> Response:
    """Answer `/cais/v1/gc/<id>/report`: what retention took, or would take, page by page."""
    run_id = path.item or ""
    if await deps.core.collector.run(run_id) is None:
        raise NoSuchPage("there is no such run of garbage collection (any more)")
    limit = min(_number(request, "n", MOST_LINES), MOST_LINES)
    after = _number(request, "last", 0)
    lines = await deps.core.collector.report(run_id, after=after, limit=limit)
    more: Headers = ()
    if lines and len(lines) == limit:
        more = (("Link", f'<{request.path}?n={limit}&last={lines[-1].n}>; rel="next"'),)
    return to_json(Report(items=tuple(_describe(line) for line in lines)), headers=more)


def _describe(line: ReportLine) -> ReportLineView:
    return ReportLineView(
        n=line.n,
        kind=line.kind,
        repository=line.repository,
        reference=line.reference,
        digest=line.digest,
        reason=line.reason,
        dry_run=line.dry_run,
    )


def _number(request: Request, name: str, default: int) -> int:
    text = request.parameter(name)
    if text is None:
        return default
    if not text.isascii() or not text.isdigit() or len(text) > _MOST_DIGITS:
        raise PaginationInvalid(f"{name}={text[:20]!r} is not a number, like 100")
    return int(text)
