# SPDX-License-Identifier: Apache-2.0
"""The admin API: garbage collection, checks of the store, usage, loaded configuration."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from cais_registry.http import deleted, reports
from cais_registry.http.acts import Act
from cais_registry.http.deps import Deps, LoadedFiles
from cais_registry.http.errors import MethodNotAllowed, NoSuchPage
from cais_registry.http.json_body import read_json
from cais_registry.http.requests import Request
from cais_registry.http.responses import Response, to_json
from cais_registry.http.router import AdminPath
from cais_registry.model.check import Check
from cais_registry.model.run import Run
from cais_registry.model.space import Space
from cais_registry.services.checker import CheckOptions


class _StartCheck(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    repair: bool = False
    digests: bool = False


class _Start(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    dry_run: bool = False


async def handle(deps: Deps, request: Request, path: AdminPath) -> Response:  # noqa: PLR0911 - one line a path
    """Answer `/cais/v1/...`."""
    if request.method == "POST":
        response = await _post(deps, request, path)
        return response if response.acts else response.telling(Act(event=f"admin.{path.noun}"))
    match path:
        case AdminPath("fsck"):
            return to_json(describe_check(deps.core.checker.last))
        case AdminPath("gc", None):
            return to_json(await _runs(deps))
        case AdminPath("gc", str(run_id), None):
            return await _run(deps, run_id)
        case AdminPath("gc", str(run_id)):
            return await reports.show(deps, request, run_id)
        case AdminPath("usage"):
            return await _usage(deps)
        case AdminPath("deleted"):
            return await deleted.show(deps, request)
        case AdminPath("undelete"):
            raise MethodNotAllowed(request.method, ("POST",))
        case _:
            return to_json(_config(deps.loaded()))


def _config(loaded: LoadedFiles) -> dict[str, Any]:
    problems = list(loaded.retention_problems)
    return {
        "files": dict(loaded.files),
        "error": loaded.error,
        "retention": {"problems": problems},
    }


async def _post(deps: Deps, request: Request, path: AdminPath) -> Response:
    match path:
        case AdminPath("gc", None):
            return await _start(deps, request)
        case AdminPath("fsck"):
            return await _check(deps, request)
        case AdminPath("undelete"):
            return await deleted.bring_back(deps, request)
        case _:
            raise MethodNotAllowed("POST", ("GET", "HEAD"))


def describe(run: Run | None) -> dict[str, Any] | None:
    """Tell about a run in JSON terms; times are RFC 3339 in UTC."""
    if run is None:
        return None
    return {
        "id": run.id,
        "state": run.state.value,
        "dryRun": run.dry_run,
        "startedAt": _time(run.started_at),
        "finishedAt": None if run.finished_at is None else _time(run.finished_at),
        "durationSeconds": round(run.duration_seconds, 3),
        "manifestsDeleted": run.manifests_deleted,
        "blobsDeleted": run.blobs_deleted,
        "bytesReclaimed": run.bytes_reclaimed,
        "bytesReclaimable": run.bytes_reclaimable,
        "uploadsExpired": run.uploads_expired,
        "tagsDeleted": run.tags_deleted,
        "untaggedDeleted": run.untagged_deleted,
        "message": run.message,
    }


def describe_check(check: Check | None) -> dict[str, Any] | None:
    """Tell about a check of the store in JSON terms."""
    if check is None:
        return None
    return {
        "state": check.state.value,
        "blobs": check.blobs,
        "manifests": check.manifests,
        "files": check.files,
        "bytesRead": check.bytes_read,
        "found": {kind.value: number for kind, number in sorted(check.found.items())},
        "left": check.left,
        "findings": [
            {
                "kind": finding.kind.value,
                "where": finding.where,
                "message": finding.message,
                "repaired": finding.is_repaired,
            }
            for finding in check.findings
        ],
    }


async def _check(deps: Deps, request: Request) -> Response:
    given = await read_json(request, _StartCheck, like='{"repair": false, "digests": false}')
    options = CheckOptions(repair=given.repair, digests=given.digests)
    deps.core.check_checkable()
    answer = to_json(describe_check(deps.core.checker.start(options)), status=202)
    asked = {"repair": given.repair, "digests": given.digests}
    return answer.telling(Act(event="admin.fsck", options=asked))


async def _start(deps: Deps, request: Request) -> Response:
    options = await read_json(request, _Start, like='{"dryRun": false}')
    run = await deps.core.collector.start(dry_run=options.dry_run)
    headers = (("Location", f"/cais/v1/gc/{run.id}"),)
    answer = to_json(describe(run), status=202, headers=headers)
    asked = {"dryRun": options.dry_run}
    return answer.telling(Act(event="admin.gc", reference=run.id, options=asked))


async def _runs(deps: Deps) -> dict[str, Any]:
    collector = deps.core.collector
    return {
        "current": describe(await collector.current()),
        "last": describe(await collector.last()),
        "lastSuccess": describe(await collector.last_success()),
        "lastDryRun": describe(await collector.last_dry_run()),
    }


async def _run(deps: Deps, run_id: str) -> Response:
    run = await deps.core.collector.run(run_id)
    if run is None:
        raise NoSuchPage("there is no such run of garbage collection (any more)")
    return to_json(describe(run))


async def _usage(deps: Deps) -> Response:
    usage = await deps.core.usage.report()
    disk = {
        "capacity": usage.disk_capacity,
        "available": usage.disk_available,
        "reserve": Space(usage.disk_capacity, usage.disk_available).reserve,
    }
    return to_json(
        {
            "repositories": usage.repositories,
            "tags": usage.tags,
            "bytes": usage.bytes,
            "quota": {"used": usage.bytes, "limit": usage.quota},
            "bytesReclaimable": usage.bytes_reclaimable,
            "disk": disk,
            "storagePressure": deps.core.pressure.look(),
        }
    )


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
