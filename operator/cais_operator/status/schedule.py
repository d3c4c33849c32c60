# SPDX-License-Identifier: Apache-2.0
"""When a cron line is due. Pure.

Kubernetes runs the schedule; this only tells people about it. So a line that cannot be read here
(the API server has the last word on it) gives no time, and never an error.
"""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

_WORDS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}


def following(line: str, time_zone: str, after: datetime) -> datetime | None:
    """Return when a cron line is due next.

    Args:
        line: Five fields, or a word such as `@daily`.
        time_zone: Name in the IANA database.
        after: Aware; only later moments count.

    Returns:
        Aware, UTC; None when line or zone cannot be read, or never comes.
    """
    fields = _WORDS.get(line, line.replace("?", "*"))
    try:
        local = after.astimezone(ZoneInfo(time_zone))
        return next(CronSim(fields, local)).astimezone(UTC)
    except (CronSimError, StopIteration, ZoneInfoNotFoundError, ValueError, OSError):
        return None
