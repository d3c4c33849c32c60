# SPDX-License-Identifier: Apache-2.0
"""What is printed: tables for people, JSON and YAML for programs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from cais_kubectl.errors import USAGE, Failure

FORMATS: Final = ("table", "json", "yaml")
_UNITS: Final = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
_STEP: Final = 1024
_SPANS: Final = ((86400, "d"), (3600, "h"), (60, "m"), (1, "s"))


def structured(value: Any, form: str) -> str:  # noqa: ANN401 - JSON
    """Return a value as JSON or YAML.

    Raises:
        Failure: For YAML, without PyYAML.
    """
    if form == "json":
        return json.dumps(value, indent=2, ensure_ascii=False)
    try:
        import yaml  # noqa: PLC0415 - an eighth of a second that only this needs
    except ImportError as error:
        raise Failure(
            "-o yaml needs PyYAML, which is not installed: use -o json, or install cais[kubectl]",
            USAGE,
        ) from error
    text: str = yaml.safe_dump(value, sort_keys=False, allow_unicode=True)
    return text.rstrip()


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return rows in columns, in kubectl's manner."""
    lines = [list(headings), *(["-" if not cell else plain(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "   ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def size(count: float | None) -> str:
    """Return a number of bytes for people; empty for None."""
    if count is None:
        return ""
    value, unit = float(count), 0
    while value >= _STEP and unit < len(_UNITS) - 1:
        value, unit = value / _STEP, unit + 1
    return f"{value:.0f} {_UNITS[unit]}" if unit == 0 else f"{value:.1f} {_UNITS[unit]}"


def age(stamp: str | None, now: datetime) -> str:
    """Return how long ago something was, for people; empty without a time."""
    moment = moment_of(stamp)
    if moment is None:
        return ""
    seconds = max(0, int((now - moment).total_seconds()))
    unit, letter = next(((u, s) for u, s in _SPANS if seconds >= 2 * u), (1, "s"))
    return f"{seconds // unit}{letter}"


def moment_of(stamp: str | None) -> datetime | None:
    """Return a time of Kubernetes; None where there is none, or none that can be read."""
    try:
        return datetime.fromisoformat(stamp).astimezone(UTC) if stamp else None
    except ValueError:
        return None


def only(value: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what is None."""
    return {key: one for key, one in value.items() if one is not None}


def plain(text: str) -> str:
    """Keep what objects of a cluster say on one line, and off the terminal's controls."""
    return "".join(char if char.isprintable() else " " for char in text)
