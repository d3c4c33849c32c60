# SPDX-License-Identifier: Apache-2.0
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from cais_operator import status
from cais_operator.errors import Problem
from cais_operator.observed import Observed, ServerState
from cais_operator.status import content
from operator_builders import NOW, body, registry, with_volume
from support.observing import (
    PROBLEM,
    RUN,
    USAGE,
    conditions_of,
    deployment_of,
    message_of,
    observed_of,
    server_of,
)


def _again(before: Mapping[str, Any], observed: Observed, **later: float) -> dict[str, Any]:
    return status.of(registry(status=before), observed, (), NOW + timedelta(**later))


def test_nothing_new_is_the_same_status() -> None:
    first = status.of(registry(), observed_of(), (), NOW)
    assert _again(first, observed_of(), hours=12) == first


def test_another_order_of_conditions_is_nothing_new() -> None:
    first = status.of(registry(), observed_of(), (), NOW)
    turned = {**first, "conditions": first["conditions"][::-1]}
    assert _again(turned, observed_of(), hours=12) == turned


def test_transition_times_move_only_with_the_status_of_a_condition() -> None:
    first = status.of(registry(), observed_of(deployment=None), (), NOW)
    second = _again(first, observed_of(deployment=deployment_of(available=0)), minutes=1)
    third = _again(second, observed_of(), minutes=2)
    times = [
        next(one["lastTransitionTime"] for one in found["conditions"] if one["type"] == "Ready")
        for found in (first, second, third)
    ]
    assert times == ["2026-03-01T12:00:00Z", "2026-03-01T12:00:00Z", "2026-03-01T12:02:00Z"]


def _with_bytes(count: int, run: Mapping[str, Any] = RUN) -> Observed:
    usage = {**USAGE, "bytes": count}
    return observed_of(server=server_of(usage=usage, gc={"last": run, "lastSuccess": run}))


def test_usage_is_written_at_most_every_five_minutes() -> None:
    first = status.of(registry(), _with_bytes(1 << 20), (), NOW)
    assert _again(first, _with_bytes(1 << 30), seconds=299) == first
    later = _again(first, _with_bytes(1 << 30), seconds=300)
    assert later["usage"]["bytes"] == 1 << 30
    assert later["storage"]["used"] == "1Gi"
    assert later["usage"]["observedTime"] == "2026-03-01T12:05:00Z"


def test_a_small_change_of_usage_is_not_written_at_all() -> None:
    first = status.of(registry(), _with_bytes((1 << 30) - 10), (), NOW)
    assert _again(first, _with_bytes((1 << 30) - 99), hours=12) == first


def test_usage_is_written_at_once_after_garbage_collection() -> None:
    first = status.of(registry(), _with_bytes(1 << 30), (), NOW)
    run = {**RUN, "finishedAt": "2026-03-01T12:00:09Z"}
    later = _again(first, _with_bytes(1 << 20, run), seconds=10)
    assert later["usage"]["bytes"] == 1 << 20
    assert later["garbageCollection"]["lastRunTime"] == "2026-03-01T12:00:09Z"


def test_what_the_server_said_stands_while_it_is_silent() -> None:
    first = status.of(registry(), observed_of(), (), NOW)
    silent = _again(first, observed_of(server=ServerState(error="timeout")), minutes=10)
    for key in ("usage", "garbageCollection", "storage"):
        assert silent[key] == first[key]
    assert conditions_of(silent)["Writable"] == ("True", "Writable")


@pytest.mark.parametrize(("seconds", "ready"), [(59, "True"), (60, "False")])
def test_a_server_that_was_ready_may_be_silent_for_a_minute(seconds: int, ready: str) -> None:
    silence = observed_of(server=ServerState(error="timeout"))
    first = status.of(registry(), observed_of(), (), NOW)
    silent = _again(first, silence, minutes=10)
    assert conditions_of(silent)["ServerReady"] == ("Unknown", "Unreachable")
    assert "Reconciling" not in conditions_of(silent)
    later = _again(silent, silence, minutes=10, seconds=seconds)
    assert conditions_of(later)["Ready"][0] == ready
    assert _again(silent, observed_of(), minutes=10, seconds=seconds)["conditions"][0] == {
        **first["conditions"][0]
    }


@pytest.mark.parametrize("is_untrusted", [False, True])
def test_nobody_waits_for_a_server_that_never_answered_or_serves_a_wrong_certificate(
    *, is_untrusted: bool
) -> None:
    before = status.of(registry(), observed_of(), (), NOW) if is_untrusted else {}
    server = ServerState(error="timeout", is_untrusted=is_untrusted)
    found = _again(before, observed_of(server=server), seconds=1)
    assert conditions_of(found)["Ready"] == ("False", "Unreachable")


def test_the_address_is_remembered_while_the_service_is_gone() -> None:
    first = status.of(registry(), observed_of(), (), NOW)
    assert _again(first, observed_of(service=None), minutes=1)["clusterIP"] == "10.96.7.7"


def test_a_spec_that_cannot_be_read_stalls_and_keeps_the_rest() -> None:
    first = status.of(registry(), observed_of(deployment=None), (), NOW)
    broken = body(with_volume(size="x"), status=first, generation=2)
    found = status.of_invalid(broken, (PROBLEM,), NOW)
    conditions = conditions_of(found)
    assert conditions["Ready"] == ("False", "InvalidSpec")
    assert conditions["Stalled"] == ("True", "InvalidSpec")
    assert conditions["StorageReady"] == ("True", "Bound")
    assert "Reconciling" not in conditions
    assert found["observedGeneration"] == 2
    assert found["storage"] == first["storage"]
    again = body(with_volume(size="x"), status=found, generation=2)
    assert status.of_invalid(again, (PROBLEM,), NOW + timedelta(days=1)) == found


def test_a_message_has_an_end() -> None:
    many = (Problem(field="f" * 100, value="v", rule="r"),) * 50
    found = status.of(registry(), observed_of(), many, NOW)
    assert len(message_of(found, "Ready")) == 1024


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (0, "0"),
        (1023, "1023"),
        (1024, "1Ki"),
        (1536, "1.5Ki"),
        (10 << 20, "10Mi"),
        (812 << 20, "812Mi"),
        (3 << 30, "3Gi"),
        (1 << 62, "4096Pi"),
    ],
)
def test_bytes_are_shown_so_that_a_person_reads_them(count: int, shown: str) -> None:
    assert content.shown(count) == shown


@pytest.mark.parametrize("count", [0, 1, 1023, 1024, 1025, 123_456_789, 1 << 40])
def test_rounding_is_close_and_never_down(count: int) -> None:
    assert count <= content.rounded(count) <= count * 1.002
