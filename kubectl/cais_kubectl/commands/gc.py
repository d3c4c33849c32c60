# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping
from typing import Any, Final

from cais_kubectl import arguments, output, registries
from cais_kubectl.api import Object
from cais_kubectl.errors import OK, WRONG, Failure
from cais_kubectl.session import Session

SUMMARY: Final = "collect garbage now, or tell what would go"
_MORE: Final = """\
Puts the annotation cais.dev/gc on the Registry; the operator starts the run and takes it off.
Pushes and pulls go on. --wait shows what is done, and tells the result. Exit code 1: it failed.
"""
_ANNOTATION: Final = "cais.dev/gc"
_PAUSE: Final = 1.0  # seconds between two looks
_LONGEST: Final = 86400


def add_to(parser: argparse.ArgumentParser) -> None:
    """Add the command's flags."""
    parser.description = _MORE
    arguments.name(parser, "default: the only one of the namespace")
    parser.add_argument("--dry-run", action="store_true", help="only tell what would go")
    parser.add_argument("--wait", action="store_true", help="until it has ended")
    parser.add_argument(
        "--timeout",
        type=_seconds,
        default=600,
        metavar="SECONDS",
        help="of --wait (default: 600); the run goes on when it is over",
    )
    arguments.form(parser)
    arguments.cluster(parser)


def _seconds(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= _LONGEST):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds, 1 to {_LONGEST}")
    return int(text)


def run(options: argparse.Namespace, session: Session) -> int:
    """Ask for a run, and wait for its end if that is asked for."""
    before = registries.find(session.api, session.namespace, options.name)
    namespace, name = registries.key_of(before)
    if (before.get("spec") or {}).get("paused"):
        raise Failure(
            f"Registry {namespace}/{name} is paused, and then the operator starts nothing: set"
            " spec.paused to false first",
            WRONG,
        )
    change = {"metadata": {"annotations": {_ANNOTATION: "dry-run" if options.dry_run else "now"}}}
    path = registries.path_of(namespace, name)
    session.api.send("PATCH", path, change)
    what = "a dry run of garbage collection" if options.dry_run else "a garbage collection"
    if not options.wait:
        _say(f"asked for {what} of {namespace}/{name}; --wait tells how it ends")
        return OK
    _say(f"asked for {what} of {namespace}/{name}")
    return _report(options, _waited(options, session, before))


def _waited(options: argparse.Namespace, session: Session, before: Object) -> Object:
    """Return the Registry as it is after the run, telling of its steps."""
    path = registries.path_of(*registries.key_of(before))
    start, has_begun = time.monotonic(), False
    while True:
        found = session.api.get(path)
        if not has_begun and _ANNOTATION not in (found["metadata"].get("annotations") or {}):
            has_begun = True
            _say("the operator has started it")
        if has_begun and _ended(found, options.dry_run) != _ended(before, options.dry_run):
            return found
        if time.monotonic() - start > options.timeout:
            raise Failure(_late(before, options.timeout, has_begun=has_begun))
        time.sleep(_PAUSE)


def _late(registry: Object, seconds: int, *, has_begun: bool) -> str:
    namespace, name = registries.key_of(registry)
    if has_begun:
        return (
            f"it has not ended within {seconds} s and goes on: `kubectl -n {namespace} get events"
            f" --field-selector involvedObject.name={name}` tells its end"
        )
    return (
        f"the operator has not started it within {seconds} s: it waits for the registry's server"
        f" (`kubectl cais status {name} -n {namespace}`), or does not run (`kubectl cais doctor`);"
        " the annotation stays, and it begins when it can"
    )


def _ended(registry: Object, is_dry: bool) -> Any:  # noqa: ANN401 - compared only
    runs = _runs(registry)
    return runs.get("lastDryRun") if is_dry else runs.get("lastRunTime")


def _runs(registry: Object) -> Mapping[str, Any]:
    return registries.status_of(registry).get("garbageCollection") or {}


def _report(options: argparse.Namespace, registry: Object) -> int:
    runs = _runs(registry)
    condition = registries.conditions(registry).get("GarbageCollected", {})
    dry = runs.get("lastDryRun") or {}
    if options.dry_run:
        is_bad, message = dry.get("state") == "Failed", dry.get("message") or ""
    else:
        is_bad, message = condition.get("reason") == "Failed", condition.get("message") or ""
    if options.output != "table":
        result = {"failed": is_bad, "message": message, "garbageCollection": dict(runs)}
        print(output.structured(result, options.output))
    else:
        print(output.plain(f"{'FAILED' if is_bad else 'done'}: {message}"))
        if not options.dry_run and not is_bad:
            print(_numbers(runs))
    return WRONG if is_bad else OK


def _numbers(runs: Mapping[str, Any]) -> str:
    given = output.size(runs.get("bytesReclaimed", 0))
    blobs, seconds = runs.get("blobsDeleted", 0), runs.get("durationSeconds", 0)
    lines = [f"{blobs} blobs deleted, {given} given back, in {seconds} s"]
    tags, untagged = runs.get("tagsDeleted", 0), runs.get("untaggedDeleted", 0)
    if tags or untagged:
        lines.append(f"by retention {tags} tags and {untagged} untagged manifests")
    if runs.get("bytesReclaimable"):
        left = output.size(runs["bytesReclaimable"])
        lines.append(f"{left} more can go when their time has passed (undeleteWindow, pushLease)")
    return "\n".join(lines)


def _say(text: str) -> None:
    print(text, file=sys.stderr)
