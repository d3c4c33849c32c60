# SPDX-License-Identifier: Apache-2.0
"""What the server holds. Pure.

An idle operator writes nothing: numbers are rounded, and a change of them alone is written at
most every five minutes, unless a garbage collection has just run.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from cais_operator.observed import ServerState
from cais_operator.status.conditions import stamp

PACE = timedelta(minutes=5)
_DIGITS = 10  # binary digits that a rounded number keeps: it is right within 0.1 %
_UNITS = ("", "Ki", "Mi", "Gi", "Ti", "Pi")
_STEP = 1024
_EXACT, _ROUNDED = ("repositories", "tags"), ("bytes", "bytesReclaimable")
_FEW = 10  # below it a number is shown with one decimal


def usage(before: Mapping[str, Any], server: ServerState | None, now: datetime) -> dict[str, Any]:
    """Return `status.usage`, with `used` and `bytesReclaimable` for their own places.

    Args:
        before: The status as it is.
        server: What the server said.
        now: Aware, UTC; becomes `observedTime` of new numbers.

    Returns:
        `repositories`, `tags`, `bytes`, `bytesReclaimable`, `observedTime`; empty when never known.
    """
    old: dict[str, Any] = dict(before.get("usage") or {})
    if is_told(before, server) or not _is_due(before, old, server, now):
        return old
    return {**_numbers(server), "observedTime": stamp(now)}


def is_told(status: Mapping[str, Any], server: ServerState | None) -> bool:
    """Return whether a status has the numbers that the server says, if it says any."""
    old: Mapping[str, Any] = status.get("usage") or {}
    new = _numbers(server)
    return not new or {key: old[key] for key in old if key != "observedTime"} == new


def _numbers(server: ServerState | None) -> dict[str, Any]:
    said = (server.usage if server else None) or {}
    return {
        **{key: said[key] for key in _EXACT if key in said},
        **{key: rounded(said[key]) for key in _ROUNDED if key in said},
    }


def rounded(count: int) -> int:
    """Return a number of bytes, rounded up to its ten leading binary digits."""
    step = 1 << max(0, count.bit_length() - _DIGITS)
    return -(-count // step) * step


def shown(count: int) -> str:
    """Return a number of bytes for a person: `0`, `812Mi`, `1.4Gi`."""
    amount, unit = float(count), 0
    while amount >= _STEP and unit < len(_UNITS) - 1:
        amount, unit = amount / _STEP, unit + 1
    text = f"{amount:.1f}".removesuffix(".0") if unit and amount < _FEW else f"{amount:.0f}"
    return text + _UNITS[unit]


def _is_due(
    before: Mapping[str, Any],
    old: Mapping[str, Any],
    server: ServerState | None,
    now: datetime,
) -> bool:
    if "observedTime" not in old:
        return True
    last = ((server.gc if server else None) or {}).get("last") or {}
    known = (before.get("garbageCollection") or {}).get("lastRunTime")
    written = datetime.strptime(old["observedTime"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    return now - written >= PACE or ended_at(last) not in (None, known)


def ended_at(run: Mapping[str, Any]) -> str | None:
    """Return when a garbage collection ended, in whole seconds; None if there is none."""
    text = run.get("finishedAt") or run.get("startedAt")
    return stamp(datetime.fromisoformat(text).astimezone(UTC)) if text else None
