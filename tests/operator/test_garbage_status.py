# SPDX-License-Identifier: Apache-2.0
"""What the status tells of garbage collection: last, next, missed."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cais_operator import status
from cais_operator.observed import ServerState
from cais_operator.status.schedule import following
from operator_builders import NOW, body, registry
from support.observing import FAILED, RUN, conditions_of, message_of, observed_of, server_of

DUE = datetime(2026, 3, 2, 3, 17, tzinfo=UTC)
LATE = timedelta(minutes=71)


def later(
    before: Mapping[str, Any],
    moment: datetime,
    server: ServerState | None = None,
    spec: Mapping[str, Any] | None = None,
    generation: int = 1,
) -> dict[str, Any]:
    known = registry(spec, status=before, generation=generation)
    return status.of(known, observed_of(server=server), (), moment)


def server_that_ran(
    run: Mapping[str, Any], current: Mapping[str, Any] | None = None
) -> ServerState:
    return server_of(gc={"last": run, "lastSuccess": RUN, "current": current})


@pytest.mark.parametrize(
    ("line", "zone", "after", "due"),
    [
        ("17 3 * * *", "UTC", "2026-03-01T12:00:00Z", "2026-03-02T03:17:00Z"),
        ("17 3 * * *", "Europe/Lisbon", "2026-07-01T12:00:00Z", "2026-07-02T02:17:00Z"),
        ("@daily", "Asia/Tokyo", "2026-03-01T12:00:00Z", "2026-03-01T15:00:00Z"),
        ("*/15 8-17 * * MON-FRI", "UTC", "2026-03-01T12:00:00Z", "2026-03-02T08:00:00Z"),
        ("0 4 ? * SUN", "UTC", "2026-03-01T12:00:00Z", "2026-03-08T04:00:00Z"),
        ("0 0 31 2 *", "UTC", "2026-03-01T12:00:00Z", None),
        ("99 3 * * *", "UTC", "2026-03-01T12:00:00Z", None),
        ("17 3 * * *", "Mars/Olympus", "2026-03-01T12:00:00Z", None),
        ("17 3 * * *", "../etc/passwd", "2026-03-01T12:00:00Z", None),
    ],
)
def test_the_next_time_of_a_schedule_is_told_where_it_can_be_read(
    line: str, zone: str, after: str, due: str | None
) -> None:
    found = following(line, zone, datetime.fromisoformat(after))
    assert found == (datetime.fromisoformat(due) if due else None)


def test_a_run_that_was_due_and_has_not_come_is_missed() -> None:
    first = later({}, NOW)
    assert first["garbageCollection"]["nextRunTime"] == "2026-03-02T03:17:00Z"
    waiting = later(first, DUE + timedelta(minutes=69))
    assert conditions_of(waiting)["GarbageCollected"] == ("True", "Succeeded")
    missed = later(waiting, DUE + LATE)
    assert conditions_of(missed)["GarbageCollected"] == ("False", "Missed")
    assert "2026-03-02T03:17:00Z" in message_of(missed, "GarbageCollected")
    assert "CronJob team-gc" in message_of(missed, "GarbageCollected")
    assert conditions_of(missed)["Ready"][0] == "True"
    assert missed["garbageCollection"]["nextRunTime"] == "2026-03-03T03:17:00Z"
    still = later(missed, DUE + timedelta(days=3))
    assert "2026-03-02T03:17:00Z" in message_of(still, "GarbageCollected")


def test_a_run_ends_the_state_of_having_missed_one() -> None:
    missed = later(later({}, NOW), DUE + LATE)
    run = {**RUN, "finishedAt": "2026-03-02T09:00:00Z"}
    found = later(missed, DUE + timedelta(hours=7), server_that_ran(run))
    assert conditions_of(found)["GarbageCollected"] == ("True", "Succeeded")
    assert "missedRunTime" not in found["garbageCollection"]
    assert found["garbageCollection"]["nextRunTime"] == "2026-03-03T03:17:00Z"


def test_a_long_run_that_goes_on_is_not_missed() -> None:
    busy = server_that_ran(RUN, current={"state": "Running"})
    found = later(later({}, NOW), DUE + timedelta(hours=5), busy)
    assert conditions_of(found)["GarbageCollected"] == ("True", "Succeeded")


@pytest.mark.parametrize(
    "spec",
    [{"garbageCollection": {"schedule": "@hourly"}}, {"garbageCollection": {"suspend": True}}],
)
def test_another_schedule_begins_anew(spec: Mapping[str, Any]) -> None:
    first = later({}, NOW)
    found = later(first, DUE + LATE, spec=spec, generation=2)
    assert conditions_of(found)["GarbageCollected"] == ("True", "Succeeded")


def test_a_suspended_schedule_has_no_next_run() -> None:
    found = later({}, NOW, spec={"garbageCollection": {"suspend": True}})
    assert "nextRunTime" not in found["garbageCollection"]


def test_a_failed_run_is_told_with_its_reason() -> None:
    found = later({}, NOW, server_that_ran(FAILED))
    assert conditions_of(found)["GarbageCollected"] == ("False", "Failed")


def test_a_disk_that_gets_full_is_told_and_leaves_ready_alone() -> None:
    usage = {**(server_of().usage or {}), "storagePressure": True}
    found = later({}, NOW, server_of(usage=usage))
    assert conditions_of(found)["StoragePressure"] == ("True", "DiskGettingFull")
    assert conditions_of(found)["Ready"][0] == "True"
    assert "spec.storage.volume.size" in message_of(found, "StoragePressure")


def test_below_the_reserve_pushes_are_refused_and_the_status_says_so() -> None:
    disk = {"capacity": 1 << 30, "available": 50 << 20, "reserve": 50 << 20}
    found = later({}, NOW, server_of(usage={**(server_of().usage or {}), "disk": disk}))
    assert conditions_of(found)["Writable"] == ("False", "DiskFull")


def test_every_run_is_an_event_once_and_so_is_a_dry_one() -> None:
    from cais_operator.report import events  # noqa: PLC0415 - only here

    first = later({}, NOW)
    told = {one["reason"]: one for one in events(body(), {}, first, NOW)}
    assert told["GarbageCollected"]["message"].startswith("the last garbage collection deleted 4")
    assert told["GarbageCollectionDryRun"]["message"] == "would delete 2 manifests"
    assert list(events(body(), first, later(first, NOW + timedelta(hours=1)), NOW)) == []
    failed = later(first, NOW, server_that_ran({**FAILED, "finishedAt": "2026-03-01T12:30:00Z"}))
    (event,) = events(body(), first, failed, NOW)
    assert (event["type"], event["reason"]) == ("Warning", "GarbageCollectionFailed")
    assert "the disk went away" in event["message"]
