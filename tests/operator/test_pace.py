# SPDX-License-Identifier: Apache-2.0
"""When a Registry may rest, and for how long."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from cais_operator import names, pki
from cais_operator.desired import authority_secret
from cais_operator.errors import Rejected
from cais_operator.pace import Rest
from cais_operator.status.garbage import GRACE
from cais_operator.token_keys import EVERY
from operator_builders import NOW, SETTINGS, with_volume
from support.operator_bench import KEY, USAGE, Bench, bench

pytestmark = pytest.mark.usefixtures("cheap_hashes")

LONGEST = 12 * SETTINGS.resync


async def look(made: Bench) -> Rest | None:
    return (await made.operator().reconcile(KEY)).rest


async def ready(spec: dict[str, Any] | None = None) -> Bench:
    made = bench(spec)
    await made.settle()
    await made.serve()
    return made


async def test_one_that_waits_for_its_pod_rests_and_nobody_is_asked() -> None:
    made = bench()
    await made.settle()
    rest = await look(made)
    assert rest is not None
    assert rest.way is None
    assert rest.after <= SETTINGS.resync


async def test_the_look_that_writes_the_status_lets_it_rest_as_of_what_it_has_written() -> None:
    made = bench()
    rest = await look(made)
    assert rest is not None
    live = made.cluster.objects[names.KIND, "team-a", "team"]
    assert rest.version == live["metadata"]["resourceVersion"]


async def test_who_is_edited_while_the_look_goes_on_is_not_taken_for_read() -> None:
    made = bench()

    def edit(verb: str, kind: str, name: str) -> None:
        if (verb, kind) == ("apply_status", names.KIND):
            made.cluster.change(kind, name, spec={"paused": True})

    made.cluster.before = edit
    rest = await look(made)
    live = made.cluster.objects[names.KIND, "team-a", "team"]
    assert rest is None or rest.version != live["metadata"]["resourceVersion"]


async def test_one_that_is_ready_rests_while_its_server_says_the_same() -> None:
    made = await ready()
    rest = await look(made)
    assert rest is not None
    assert rest.way is not None
    assert rest.state == await made.server.state(rest.way)
    assert 0.8 * LONGEST <= rest.longest <= LONGEST


async def test_numbers_that_are_not_told_yet_end_the_rest_when_they_are_five_minutes_old() -> None:
    made = await ready()
    made.server.usage = {**USAGE, "tags": 7}
    made.now = NOW + timedelta(minutes=4)
    rest = await look(made)
    assert rest is not None
    assert rest.longest == pytest.approx(60)


async def test_a_key_of_tokens_whose_turn_comes_ends_the_rest() -> None:
    made = bench()
    await made.settle()
    made.now = NOW + EVERY - timedelta(minutes=3)
    rest = await look(made)
    assert rest is not None
    assert rest.longest == pytest.approx(180)


async def test_a_certificate_that_cannot_be_renewed_yet_ends_the_rest_when_it_ends_itself() -> None:
    made = bench()
    ending = pki.new_authority(name="ends", validity=timedelta(days=20), now=NOW)
    made.cluster.put(authority_secret(SETTINGS, ending))
    await made.settle()
    assert made.status()["certificate"]["renewAt"] < NOW.isoformat()
    made.now = datetime.fromisoformat(made.status()["certificate"]["notAfter"])
    made.now -= timedelta(minutes=3)
    rest = await look(made)
    assert rest is not None
    assert rest.longest == pytest.approx(180)


async def test_nobody_rests_over_a_claim_that_no_watch_shows() -> None:
    made = bench(with_volume(existingClaim="old"))
    claim = {"kind": "PersistentVolumeClaim", "metadata": {"name": "old"}}
    made.cluster.put({**claim, "spec": {}, "status": {"phase": "Bound"}})
    await made.settle()
    assert made.condition("StorageReady")["status"] == "True"
    assert await look(made) is None


async def test_nobody_rests_who_waits_for_a_person_though_no_server_runs() -> None:
    made = bench(with_volume(size="10Gi"))
    await made.settle()
    claim = {"phase": "Bound", "capacity": {"storage": "10Gi"}}
    made.cluster.change("PersistentVolumeClaim", "team-data", status=claim)
    made.cluster.change(names.KIND, "team", spec=with_volume(size="20Gi"))

    def forbid(verb: str, kind: str, name: str) -> None:
        if (verb, kind) == ("apply", "PersistentVolumeClaim"):
            raise Rejected(status=403, reason="Forbidden", message="no growth", subject=name)

    made.cluster.before = forbid
    assert await look(made) is None
    assert made.condition("Stalled")["reason"] == "ResizeBlocked"


async def test_what_is_due_ends_the_rest() -> None:
    made = await ready()
    run = datetime.fromisoformat(made.status()["garbageCollection"]["nextRunTime"])
    made.now = run + GRACE - timedelta(minutes=2)
    rest = await look(made)
    assert rest is not None
    assert rest.longest == pytest.approx(120)


@pytest.mark.parametrize(
    "case",
    ["lags", "asked", "paused", "silent"],
)
async def test_nobody_rests_while_something_is_under_way(case: str) -> None:
    made = await ready()
    registry = made.cluster.objects[names.KIND, "team-a", "team"]
    if case == "lags":
        made.server.files = {}
    if case == "silent":
        made.server.error = "no route to host"
    if case == "paused":
        registry["spec"]["paused"] = True
    if case == "asked":
        registry["metadata"]["annotations"] = {names.COLLECT: "now"}
        made.server.refuses = "busy"
    assert await look(made) is None


async def test_one_whose_pods_may_log_in_is_looked_at_as_the_clusters_keys_may_change() -> None:
    rule: dict[str, Any] = {"serviceAccounts": [{"name": "ci", "namespace": "team-a"}]}
    rule |= {"repositories": ["**"], "actions": ["pull"]}
    made = bench({"access": {"rules": [rule]}})
    await made.settle()
    assert await look(made) is None
