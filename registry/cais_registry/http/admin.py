# SPDX-License-Identifier: Apache-2.0
"""The admin API. A new path is a line here, in `router.ADMIN`, in `gate` and in `openapi`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

from cais_registry.http import admin_views as views
from cais_registry.http import deleted, reports
from cais_registry.http.acts import Act
from cais_registry.http.deps import Deps
from cais_registry.http.errors import NoSuchPage
from cais_registry.http.json_body import read_json
from cais_registry.http.requests import Request
from cais_registry.http.responses import Response, to_json
from cais_registry.http.router import AdminPath
from cais_registry.model.run import Run
from cais_registry.services.checker import CheckOptions

Handler: TypeAlias = Callable[[Deps, Request, AdminPath], Awaitable[Response]]


async def handle(deps: Deps, request: Request, path: AdminPath) -> Response:
    """Answer `/cais/v1/...`; what changes something is told to the audit log in any case."""
    is_change = request.method not in ("GET", "HEAD")
    method = request.method if is_change else "GET"
    response = await _HANDLERS[method, path.shape](deps, request, path)
    if is_change and not response.acts:
        return response.telling(Act(event=f"admin.{path.noun}"))
    return response


async def _start(deps: Deps, request: Request, _: AdminPath) -> Response:
    options = await read_json(request, views.StartGc, like='{"dryRun": false}')
    run = await deps.core.collector.start(dry_run=options.dry_run)
    headers = (("Location", f"/cais/v1/gc/{run.id}"),)
    answer = to_json(views.run_view(run), status=202, headers=headers)
    asked = {"dryRun": options.dry_run}
    return answer.telling(Act(event="admin.gc", reference=run.id, options=asked))


async def _runs(deps: Deps, _request: Request, _: AdminPath) -> Response:
    collector = deps.core.collector
    return to_json(
        views.Runs(
            current=_maybe(await collector.current()),
            last=_maybe(await collector.last()),
            last_success=_maybe(await collector.last_success()),
            last_dry_run=_maybe(await collector.last_dry_run()),
        )
    )


def _maybe(run: Run | None) -> views.RunView | None:
    return None if run is None else views.run_view(run)


async def _run(deps: Deps, _: Request, path: AdminPath) -> Response:
    run = await deps.core.collector.run(path.item or "")
    if run is None:
        raise NoSuchPage("there is no such run of garbage collection (any more)")
    return to_json(views.run_view(run))


async def _check(deps: Deps, request: Request, _: AdminPath) -> Response:
    given = await read_json(request, views.StartCheck, like='{"repair": false, "digests": false}')
    options = CheckOptions(repair=given.repair, digests=given.digests)
    answer = to_json(views.check_view(deps.core.checker.start(options)), status=202)
    asked = {"repair": given.repair, "digests": given.digests}
    return answer.telling(Act(event="admin.fsck", options=asked))


async def _last_check(deps: Deps, _request: Request, _: AdminPath) -> Response:
    check = deps.core.checker.last
    return to_json(None if check is None else views.check_view(check))


async def _usage(deps: Deps, _request: Request, _: AdminPath) -> Response:
    usage, is_low = await deps.core.usage.report(), deps.core.pressure.look()
    return to_json(views.usage_view(usage, is_low=is_low))


async def _config(deps: Deps, _request: Request, _: AdminPath) -> Response:
    loaded = deps.loaded()
    problems = views.RetentionView(problems=tuple(loaded.retention_problems))
    view = views.ConfigView(
        version=deps.facts.version,
        files=dict(loaded.files),
        error=loaded.error,
        retention=problems,
    )
    return to_json(view)


async def _describe(deps: Deps, _request: Request, _: AdminPath) -> Response:
    from cais_registry.http import openapi  # noqa: PLC0415 - spares memory where nobody asks

    is_open = deps.gate.permissions.is_open
    return to_json(openapi.describe(deps.facts.version, is_open=is_open))


_HANDLERS: Final[dict[tuple[str, str], Handler]] = {
    ("GET", "gc"): _runs,
    ("POST", "gc"): _start,
    ("GET", "gc/<id>"): _run,
    ("GET", "gc/<id>/report"): reports.show,
    ("GET", "fsck"): _last_check,
    ("POST", "fsck"): _check,
    ("GET", "usage"): _usage,
    ("GET", "config"): _config,
    ("GET", "deleted"): deleted.show,
    ("POST", "undelete"): deleted.bring_back,
    ("GET", "openapi.json"): _describe,
}
