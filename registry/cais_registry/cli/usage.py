# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import argparse
import json
from typing import Final

from cais_registry.cli import client

_STEP: Final = 1024


def run(options: argparse.Namespace) -> int:
    """Show what a running server holds."""
    usage = client.build(options).call("GET", "/cais/v1/usage")
    if options.output == "json":
        print(json.dumps(usage))
        return 0
    disk = usage["disk"]
    print(f"repositories  {usage['repositories']}")
    print(f"tags          {usage['tags']}")
    print(f"stored        {human(usage['bytes'])}{_of(usage['quota']['limit'])}")
    print(f"reclaimable   {human(usage['bytesReclaimable'])}")
    print(f"disk          {human(disk['available'])} free of {human(disk['capacity'])}")
    return 0


def _of(quota: int | None) -> str:
    return "" if quota is None else f" of {human(quota)} (quota)"


def human(count: int) -> str:
    """Bytes for people: `532 B`, `1.5 GiB`."""
    size = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < _STEP:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= _STEP
    return f"{size:.1f} TiB"
