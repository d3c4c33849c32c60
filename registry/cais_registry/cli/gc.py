# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from cais_registry.cli import client
from cais_registry.cli.errors import CommandError
from cais_registry.cli.run_progress import Progress
from cais_registry.cli.usage import human

_ASK_AGAIN_SECONDS: Final = 0.5
_PAGE: Final = 500
_TRIES: Final = 60  # a server that restarts is waited for


def run(options: argparse.Namespace) -> int:
    """Start garbage collection, wait if asked to, and report; a dry run lists what would go."""
    server = client.build(options)
    started = server.call("POST", "/cais/v1/gc", {"dryRun": options.dry_run})
    if options.dry_run and not started["dryRun"]:
        raise CommandError(
            f"garbage collection {started['id']} is running, and it is no dry run: try again when "
            "it has ended"
        )
    report = _wait(server, started) if options.wait or options.dry_run else started
    if report["dryRun"]:
        for line in _lines(server, report):
            print(json.dumps(line) if options.output == "json" else tell(line))
    _write(options.report_file, report)
    print(json.dumps(report) if options.output == "json" else describe(report))
    return 1 if report["state"] == "Failed" else 0


def tell(line: dict[str, Any]) -> str:
    """Tell about something that retention would take, in one line."""
    what = line["repository"]
    what += f":{line['reference']}" if line["kind"] == "tag" else f"@{line['digest']}"
    only = " (this rule has dryRun and takes nothing)" if line["dryRun"] else ""
    return f"would delete {line['kind']} {what}: {line['reason']}{only}"


def _lines(server: client.Client, report: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """What retention would take, fetched page by page."""
    last = 0
    while True:
        page = server.call("GET", f"/cais/v1/gc/{report['id']}/report?n={_PAGE}&last={last}")
        yield from page["items"]
        if len(page["items"]) < _PAGE:
            return
        last = page["items"][-1]["n"]


def describe(report: dict[str, Any]) -> str:
    """Tell about a run in one line."""
    if report["state"] == "Running":
        return f"garbage collection {report['id']} is running"
    did = "would delete" if report["dryRun"] else "deleted"
    size = report["bytesReclaimable" if report["dryRun"] else "bytesReclaimed"]
    counts = (
        f"{did} {report['manifestsDeleted']} manifests and {report['blobsDeleted']} blobs, "
        f"{human(size)}, {_retained(report)}in {report['durationSeconds']:.1f} s"
    )
    later = f"; {human(report['bytesReclaimable'])} can be given back later"
    text = counts if report["dryRun"] else counts + later
    return f"{report['state']}: {text}" + (f" ({report['message']})" if report["message"] else "")


def _retained(report: dict[str, Any]) -> str:
    tags, untagged = report.get("tagsDeleted"), report.get("untaggedDeleted")  # a server before it
    if not tags and not untagged:
        return ""
    return f"by retention {tags} tags and {untagged} untagged manifests, "


def _wait(server: client.Client, run_report: dict[str, Any]) -> dict[str, Any]:
    progress, failures = Progress(sys.stderr), 0
    while run_report["state"] == "Running":
        time.sleep(_ASK_AGAIN_SECONDS)
        try:
            run_report = server.call("GET", f"/cais/v1/gc/{run_report['id']}")
            failures = 0
        except CommandError:
            failures += 1
            if failures >= _TRIES:
                raise
        progress.show(run_report)
    progress.end()
    return run_report


def _write(path: str | None, report: dict[str, Any]) -> None:
    if path is None:
        return
    try:
        Path(path).write_text(json.dumps(report) + "\n", "utf-8")
    except OSError as error:
        raise CommandError(f"--report-file {path} cannot be written: {error.strerror}") from error
