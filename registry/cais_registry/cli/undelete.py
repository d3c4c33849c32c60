# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import urlencode

from cais_registry.cli import client

_PAGE: Final = 1000


def run(options: argparse.Namespace) -> int:
    """Bring back a tag or manifest; without one, show what can come back."""
    server = client.build(options)
    repository, reference = _parse(options.what)
    if reference is None:
        found = list(_deleted(server, repository))
        print(json.dumps(found) if options.output == "json" else _table(repository, found))
        return 0
    wanted = {"repository": repository, "reference": reference}
    restored = server.call("POST", "/cais/v1/undelete", wanted)
    print(json.dumps(restored) if options.output == "json" else _describe(reference, restored))
    return 0


def _parse(what: str) -> tuple[str, str | None]:
    """Part `NAME`, `NAME:TAG` and `NAME@DIGEST`; the server checks each part."""
    name, at, digest = what.partition("@")
    if at:
        return name, digest
    name, colon, tag = what.partition(":")
    return name, tag if colon else None


def _deleted(server: client.Client, repository: str) -> Iterator[dict[str, Any]]:
    last = ""
    while True:
        query = urlencode({"repository": repository, "n": _PAGE, "last": last})
        found = server.call("GET", f"/cais/v1/deleted?{query}")["deleted"]
        yield from found
        if len(found) < _PAGE:
            return
        last = found[-1]["reference"]


def _table(repository: str, found: list[dict[str, Any]]) -> str:
    if not found:
        return f"nothing that was deleted from {repository} can come back (any more)"
    lines = [f"{one['deletedAt']}  {one['reference']}  ({one['reason']})" for one in found]
    return "\n".join(lines)


def _describe(reference: str, restored: dict[str, Any]) -> str:
    where = f"{restored['repository']}@{restored['digest']}"
    if not restored["manifests"] and not restored["tags"]:
        return f"{reference} is there already: {where}"
    tags = f", with tags {', '.join(restored['tags'])}" if restored["tags"] else ""
    taken = restored["tagsTaken"]
    left = f"; left where they point now: {', '.join(taken)}" if taken else ""
    return f"{reference} is back: {where}{tags}{left}"
