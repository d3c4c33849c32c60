# SPDX-License-Identifier: Apache-2.0
"""A garbage collection by annotation: done once, then the annotation is gone."""

import pytest

from cais_operator import names
from support.operator_bench import KEY, Bench, bench

pytestmark = pytest.mark.usefixtures("cheap_hashes")


def annotate(made: Bench, value: str) -> None:
    live = made.cluster.objects[names.KIND, "team-a", "team"]
    annotations = {names.COLLECT: value, "theirs": "stays"}
    live["metadata"] = {**live["metadata"], "annotations": annotations}


def annotations(made: Bench) -> dict[str, str]:
    found: dict[str, str] = made.cluster.objects[names.KIND, "team-a", "team"]["metadata"][
        "annotations"
    ]
    return found


async def ready() -> Bench:
    made = bench()
    await made.settle()
    made.run_pods()
    await made.operator().reconcile(KEY)
    return made


@pytest.mark.parametrize(("value", "dry_run"), [("now", False), ("dry-run", True)])
async def test_an_annotation_starts_one_run_and_goes(value: str, dry_run: bool) -> None:
    made = await ready()
    annotate(made, value)
    outcome = await made.operator().reconcile(KEY)
    assert made.server.collections == [dry_run]
    assert annotations(made) == {"theirs": "stays"}
    assert outcome.after == 2.0  # to see the end of it
    await made.operator().reconcile(KEY)
    assert made.server.collections == [dry_run]


async def test_a_run_that_goes_on_is_looked_at_again_soon() -> None:
    made = await ready()
    made.server.gc = {"current": {"state": "Running"}, "last": None}
    assert (await made.operator().reconcile(KEY)).after == 2.0


async def test_a_word_that_is_not_known_starts_nothing_and_goes() -> None:
    made = await ready()
    annotate(made, "yesterday")
    await made.operator().reconcile(KEY)
    assert made.server.collections == []
    assert annotations(made) == {"theirs": "stays"}
    events = [one for (kind, _, _), one in made.cluster.objects.items() if kind == "Event"]
    (told,) = (one for one in events if one["reason"] == "AnnotationInvalid")
    assert told["type"] == "Warning"
    assert told["message"].endswith("'yesterday'; allowed are: now, dry-run")


async def test_what_cannot_be_done_now_is_kept_for_later() -> None:
    made = bench()
    await made.settle()  # no pod runs yet
    annotate(made, "now")
    await made.operator().reconcile(KEY)
    assert annotations(made)[names.COLLECT] == "now"
    made.run_pods()
    made.server.refuses = "it answers 503"
    await made.operator().reconcile(KEY)
    assert annotations(made)[names.COLLECT] == "now"
    made.server.refuses = None
    await made.operator().reconcile(KEY)
    assert made.server.collections == [False]
    assert names.COLLECT not in annotations(made)


async def test_a_paused_registry_is_left_alone() -> None:
    made = await ready()
    annotate(made, "now")
    live = made.cluster.objects[names.KIND, "team-a", "team"]
    live["spec"] = {**live["spec"], "paused": True}
    await made.operator().reconcile(KEY)
    assert made.server.collections == []
    assert annotations(made)[names.COLLECT] == "now"
