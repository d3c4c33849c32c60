# SPDX-License-Identifier: Apache-2.0
"""Answers of servers that are older, newer, or odd: none of them stops the operator."""

import json
from typing import Any

import pytest

from cais_operator import status
from cais_operator.answers import state_of
from cais_operator.observed import ServerState
from cais_operator.report import events
from operator_builders import NOW, body, registry
from support.observing import RUN, USAGE, WANTED, conditions_of, observed_of

RUNS = {"current": None, "last": RUN, "lastSuccess": RUN, "lastDryRun": RUN}
CONFIG = {"version": "0.1.0", "files": WANTED, "error": None, "retention": {"problems": ["x"]}}
FULL = {**USAGE, "quota": {"used": 5, "limit": None}}
SUSPENDED = {"garbageCollection": {"suspend": True}}


def told(server: ServerState, spec: dict[str, Any] | None = None, **before: Any) -> dict[str, Any]:
    return status.of(registry(spec, **before), observed_of(server=server), (), NOW)


def keys(value: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Every place in a body."""
    if not isinstance(value, dict):
        return [path]
    return [path, *(found for key in value for found in keys(value[key], (*path, key)))]


def changed(value: Any, path: tuple[str, ...], put: Any) -> Any:
    if not path:
        return put
    rest = {key: one for key, one in value.items() if key != path[0]}
    if len(path) == 1 and put is ...:
        return rest
    return {**rest, path[0]: changed(value[path[0]], path[1:], put)}


PLACES = [
    (at, path)
    for at, whole in enumerate((CONFIG, RUNS, FULL))
    for path in keys(whole)
    if path and "files" not in path[:1]
]


@pytest.mark.parametrize(("at", "path"), PLACES, ids=str)
def test_whatever_a_server_leaves_out_a_status_is_written(at: int, path: tuple[str, ...]) -> None:
    for put in (..., None):
        bodies: list[Any] = [CONFIG, RUNS, FULL]
        bodies[at] = changed(bodies[at], path, put)
        found = told(state_of(*bodies))
        assert conditions_of(found)["Ready"] == ("True", "Serving")
        json.dumps(found, allow_nan=False)


@pytest.mark.parametrize(
    ("at", "path", "put"),
    [
        (0, ("files",), ["x"]),
        (0, ("error",), {"code": 1}),
        (0, ("retention",), ["x"]),
        (0, ("retention", "problems"), "x"),
        (1, ("last",), "yesterday"),
        (1, ("last", "finishedAt"), 5),
        (1, ("last", "finishedAt"), "2026-03-01T03:17:00"),
        (1, ("last", "message"), ["x"]),
        (1, ("lastSuccess", "durationSeconds"), float("inf")),
        (1, ("lastSuccess", "durationSeconds"), float("nan")),
        (1, ("lastSuccess", "blobsDeleted"), "4"),
        (2, ("bytes",), -1),
        (2, ("bytes",), True),
        (2, ("bytes",), 1 << 63),
        (2, ("tags",), 2.5),
        (2, ("disk",), 5),
        (2, ("disk", "available"), "much"),
        (2, ("storagePressure",), "no"),
    ],
)
def test_what_is_of_the_wrong_kind_is_named(at: int, path: tuple[str, ...], put: Any) -> None:
    bodies: list[Any] = [CONFIG, RUNS, FULL]
    bodies[at] = changed(bodies[at], path, put)
    with pytest.raises(ValueError, match=rf"{path[-1]} is not an? |{path[-1]} is not true"):
        state_of(*bodies)


def test_what_a_newer_server_says_besides_is_passed_over() -> None:
    found = state_of({**CONFIG, "new": [1]}, {**RUNS, "new": 1}, {**FULL, "new": {}})
    assert found.usage == {**USAGE, "quota": {"used": 5}}


def test_a_condition_of_the_server_stands_while_it_is_silent_and_no_longer() -> None:
    missed = {
        "type": "GarbageCollected",
        "status": "False",
        "reason": "Missed",
        "message": "none has run",
        "lastTransitionTime": "2026-03-01T10:00:00Z",
    }
    before = {"conditions": [missed]}
    silent = told(ServerState(error="it does not answer in time"), SUSPENDED, status=before)
    assert conditions_of(silent)["GarbageCollected"] == ("False", "Missed")
    found = told(state_of(CONFIG, {"last": None}, FULL), SUSPENDED, status=silent)
    assert "GarbageCollected" not in conditions_of(found)


def test_a_quota_that_is_in_force_is_told_while_the_spec_has_none() -> None:
    used_up = {**USAGE, "quota": {"used": 1 << 30, "limit": 1 << 30}}
    found = told(state_of(CONFIG, RUNS, used_up))
    (one,) = (one for one in found["conditions"] if one["type"] == "Writable")
    assert one["message"].startswith("the quota of 1Gi is used up")


def test_a_server_without_a_volume_is_not_full() -> None:
    nothing = {"capacity": 0, "available": 0, "reserve": 0}  # blobs are in an object store
    found = told(state_of(CONFIG, RUNS, {**USAGE, "disk": nothing}))
    assert conditions_of(found)["Writable"] == ("True", "Writable")


def test_a_run_that_is_no_longer_known_is_no_event() -> None:
    first = told(state_of(CONFIG, RUNS, FULL))
    restored = told(state_of(CONFIG, {"last": None}, FULL), status=first)
    assert list(events(body(), first, restored, NOW)) == []
