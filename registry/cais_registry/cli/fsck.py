# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import time
from typing import Any, Final

import msgspec

from cais_registry.cli import client, places
from cais_registry.cli.errors import CommandError
from cais_registry.cli.places import Place
from cais_registry.cli.usage import human
from cais_registry.config.errors import ConfigError
from cais_registry.model.errors import StorageUnavailable

_ASK_AGAIN_SECONDS: Final = 0.5


def run(options: argparse.Namespace) -> int:
    """Check a store, report, and tell by the exit code whether something is left to do.

    Raises:
        ConfigError: If the options do not name one store that can be checked.
        CommandError: If the check failed.
    """
    if options.rebuild:
        from cais_registry.cli.rebuilding import rebuild  # noqa: PLC0415 - a check needs less

        return rebuild(options)
    if options.force or options.orphans_to is not None:
        raise ConfigError("--force and --orphans-to go with --rebuild only")
    if sum(one is not None for one in (options.data, options.config, options.server)) != 1:
        raise ConfigError(
            "name one store: --data of a stopped server, --config of one over a bucket or"
            " PostgreSQL, or --server of a running one"
        )
    report = _online(options) if options.server is not None else _offline(options)
    if report["state"] != "Succeeded":
        raise CommandError(f"the check of {options.server} did not end; the server's log says why")
    print(json.dumps(report) if options.output == "json" else describe(report))
    return 1 if report["left"] else 0


def describe(report: dict[str, Any]) -> str:
    """Tell about a check in lines for people."""
    lines = [
        f"{'repaired' if finding['repaired'] else 'LEFT    '}  {finding['message']}"
        for finding in report["findings"]
    ]
    count = sum(report["found"].values())
    if count > len(lines):
        lines.append(f"... and {count - len(lines)} more")
    looked = (
        f"{report['blobs']} blobs, {report['manifests']} manifests, {report['files']} files"
        f" looked at, {human(report['bytesRead'])} hashed"
    )
    verdict = f"{count} found, {report['left']} left to do" if count else "all is well"
    return "\n".join([*lines, f"{verdict}: {looked}"])


def _online(options: argparse.Namespace) -> dict[str, Any]:
    server = client.build(options)
    wanted = {"repair": options.repair, "digests": options.digests}
    report: dict[str, Any] | None = server.call("POST", "/cais/v1/fsck", wanted)
    while report is not None and report["state"] == "Running":
        _show(report)
        time.sleep(_ASK_AGAIN_SECONDS)
        report = server.call("GET", "/cais/v1/fsck")
    if report is None:
        raise CommandError(f"{options.server} was started anew meanwhile; check again")
    return report


def _show(report: dict[str, Any]) -> None:
    if sys.stderr.isatty():
        seen = f"{report['blobs']} blobs, {report['manifests']} manifests, {report['files']} files"
        print(f"\r{seen} looked at ", end="", file=sys.stderr, flush=True)


def _offline(options: argparse.Namespace) -> dict[str, Any]:
    from cais_registry.stores import layout  # noqa: PLC0415 - a check online needs no store

    place = places.named(options)
    try:
        if place.is_shared:
            return asyncio.run(_check(place, options))
        _check_database(place)
        lock = layout.lock(place.data)
        try:
            _check_whole(place)
            return asyncio.run(_check(place, options))
        finally:
            os.close(lock)
    except layout.UnusableData as error:
        raise ConfigError(str(error)) from error
    except StorageUnavailable as error:
        raise CommandError(f"{error}; nothing more was checked") from error


def _check_database(place: Place) -> None:
    """Make sure not to make a new one."""
    from cais_registry.stores.layout import DATABASE  # noqa: PLC0415 - see `_offline`

    if place.database_url is None and not (place.data / DATABASE).is_file():
        raise ConfigError(
            f"--data {place.data}: there is no {DATABASE}; is it a data folder? If it was one,"
            " --rebuild makes the database anew"
        )


def _check_whole(place: Place) -> None:
    from cais_registry.stores import layout, sqlite  # noqa: PLC0415 - see `_offline`

    if place.database_url is not None:
        return
    database = place.data / layout.DATABASE
    faults = sqlite.faults(database)
    if faults:
        raise ConfigError(
            f"the database {database} is damaged, --rebuild makes it anew:"
            f" {'; '.join(faults)[:500]}"
        )


async def _check(place: Place, options: argparse.Namespace) -> dict[str, Any]:
    from cais_registry.http.admin_views import check_view  # noqa: PLC0415 - loads much
    from cais_registry.services.checker import CheckOptions  # noqa: PLC0415 - see above
    from cais_registry.services.core import open_core  # noqa: PLC0415 - see above

    core = await open_core(place.data, database_url=place.database_url, store=place.store)
    try:
        wanted = CheckOptions(repair=options.repair, digests=options.digests)
        report: dict[str, Any] = msgspec.to_builtins(check_view(await core.checker.run(wanted)))
    finally:
        await core.close()
    return report
