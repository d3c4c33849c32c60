# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cais_operator.rollout import Cause, Fleet, Stage, Template, asked, cause, fleet, stage
from cais_operator.status.conditions import stamp
from operator_builders import NOW, SETTINGS, registry

WANTED = Template(digest="new", asked="spec")
SAME = Template(digest="new", asked="spec", applied="new")
OLD = Template(digest="old", asked="spec", applied="old")
DEADLINE = SETTINGS.rollout_deadline
SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("live", "is_available", "lacks", "found"),
    [
        (None, False, False, Cause.CREATED),
        (SAME, True, False, None),
        (SAME, False, False, None),
        (replace(SAME, asked="other"), True, False, None),  # the same pod all the same
        (OLD, True, False, Cause.UPGRADED),
        (OLD, False, False, Cause.DOWN),
        (replace(OLD, asked="other"), True, False, Cause.ASKED),
        (OLD, True, True, Cause.ASKED),
        (replace(OLD, digest="edited"), True, False, Cause.EDITED),
        (replace(OLD, digest="edited", asked="other"), True, False, Cause.EDITED),
        (replace(OLD, asked="", applied=""), True, False, Cause.UPGRADED),  # of an older operator
    ],
)
def test_why_a_pod_restarts(
    live: Template | None, is_available: bool, lacks: bool, found: Cause | None
) -> None:
    assert cause(WANTED, live, is_available=is_available, lacks=lacks) is found


def deployment(
    name: str = "team",
    *,
    began: datetime | str | None = None,
    available: bool = False,
    lost: datetime | None = None,
) -> dict[str, Any]:
    text = stamp(began) if isinstance(began, datetime) else began
    annotations = {} if text is None else {"cais.dev/restarted": text}
    metadata = {"namespace": "a", "name": name, "generation": 2, "annotations": annotations}
    told = {"type": "Available", "status": "False", "lastTransitionTime": stamp(lost or NOW)}
    status = {
        "observedGeneration": 2,
        **({"updatedReplicas": 1, "availableReplicas": 1} if available else {}),
        "conditions": [told] if lost else [],
    }
    return {"metadata": metadata, "status": status}


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (deployment(), Stage.SETTLED),  # down, and nobody has restarted it in its turn
        (deployment(began=NOW), Stage.RESTARTING),
        (deployment(began=NOW, available=True), Stage.SETTLED),
        (deployment(began=NOW - DEADLINE + SECOND), Stage.RESTARTING),
        (deployment(began=NOW - DEADLINE), Stage.FAILED),
        (deployment(began=NOW - DEADLINE, lost=NOW - DEADLINE), Stage.FAILED),
        (deployment(began=NOW - DEADLINE, available=True), Stage.SETTLED),
        # lost long after it was ready again
        (deployment(began=NOW - 9 * DEADLINE, lost=NOW - DEADLINE), Stage.SETTLED),
        # whoever may write a Deployment may write this: no turn is held by it
        (deployment(began=NOW + timedelta(days=9)), Stage.SETTLED),
        (deployment(began="soon"), Stage.SETTLED),
        (deployment(began="2026-03-01T12:00:00"), Stage.SETTLED),
    ],
)
def test_how_a_server_is_that_was_restarted(found: dict[str, Any], expected: Stage) -> None:
    assert stage(found, DEADLINE, NOW) is expected


def test_a_change_that_no_pod_runs_yet_is_not_available() -> None:
    unseen = deployment(began=NOW, available=True)
    unseen["metadata"]["generation"] = 3
    assert stage(unseen, DEADLINE, NOW) is Stage.RESTARTING


@given(
    ages=st.lists(st.tuples(st.integers(0, 1200), st.booleans()), max_size=30),
    most=st.integers(1, 10),
    most_failed=st.integers(1, 10),
    granted=st.integers(0, 10),
)
def test_never_more_restart_than_may(
    ages: list[tuple[int, bool]], most: int, most_failed: int, granted: int
) -> None:
    settings = replace(SETTINGS, rollout_max_concurrent=most, rollout_max_failed=most_failed)
    found = fleet(
        (
            deployment(str(at), began=NOW - timedelta(seconds=age), available=is_up)
            for at, (age, is_up) in enumerate(ages)
        ),
        settings,
        NOW,
    )
    new = {("a", f"new-{at}") for at in range(granted)}
    free = found.free(settings, new)
    restarting = sum(not is_up and age < DEADLINE.seconds for age, is_up in ages)
    failed = sum(not is_up and age >= DEADLINE.seconds for age, is_up in ages)
    assert (len(found.restarting), len(found.failed)) == (restarting, failed)
    assert free == (0 if failed >= most_failed else max(0, most - restarting - granted))


def test_a_turn_that_a_deployment_tells_of_already_counts_once() -> None:
    one = fleet([deployment("team", began=NOW)], SETTINGS, NOW)
    assert one.free(SETTINGS, {("a", "team")}) == SETTINGS.rollout_max_concurrent - 1
    assert Fleet().free(SETTINGS) == SETTINGS.rollout_max_concurrent


DEFAULTS: dict[str, Any] = {"storage": {"volume": {"size": "10Gi"}}, "pod": {"labels": {}}}


@pytest.mark.parametrize(
    ("spec", "is_same"),
    [
        (DEFAULTS, True),
        ({"tls": {"issued": {}}}, True),
        ({"quota": "1Gi", "readOnly": True, "paused": True}, True),
        ({"access": {"users": [{"name": "ci"}]}}, True),
        ({"version": "0.1.0"}, False),
        ({"tls": {"disabled": {}}}, False),
        ({"storage": {"volume": {"existingClaim": "old"}}}, False),
        ({"pod": {"labels": {"a": "b"}}}, False),
        ({"pod": {"resources": {"limits": {"memory": "1Gi"}}}}, False),
        ({"pod": {"tolerations": [{"operator": "Exists"}]}}, False),
    ],
)
def test_only_what_the_pod_depends_on_counts_as_asked_for(
    spec: dict[str, Any], is_same: bool
) -> None:
    assert (asked(registry(spec)) == asked(registry())) is is_same
    assert asked(registry(spec)) == asked(registry(spec))


def test_what_is_asked_for_is_written_down_for_ever() -> None:
    """It is compared across versions of the operator: another digest would restart everything."""
    spec = {"version": "0.1.0", "pod": {"resources": {"limits": {"cpu": 2}}, "labels": {"a": "b"}}}
    assert asked(registry()) == "ce62344884bb7365"
    assert asked(registry(spec)) == "f73ea917f8387d1b"
