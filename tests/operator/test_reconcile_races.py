# SPDX-License-Identifier: Apache-2.0
import base64
import json
from dataclasses import dataclass, field

import pytest

from cais_operator import errors, names
from operator_builders import body
from support.fake_cluster import Crash, FakeCluster, Killer
from support.operator_bench import EVERYTHING, KEY, Bench, bench, children

pytestmark = pytest.mark.usefixtures("cheap_hashes")


async def test_a_registry_deleted_in_mid_reconcile_leaves_only_its_data() -> None:
    made = bench()

    def delete_it(verb: str, kind: str, name: str) -> None:
        if (verb, kind) == ("create", "Secret") and name == "team-tls":
            del made.cluster.objects[names.KIND, "team-a", "team"]

    made.cluster.after = delete_it
    await made.operator().reconcile(KEY)
    assert children(made) == {("PersistentVolumeClaim", "team-data")}


@pytest.mark.parametrize("verb", ["apply", "apply_status"])
async def test_a_child_brought_back_for_a_registry_that_goes_away_is_taken_back(verb: str) -> None:
    made = bench()
    await made.settle()
    del made.cluster.objects["CronJob", "team-a", "team-gc"]
    if verb == "apply_status":  # there must be something to tell
        made.cluster.change("PersistentVolumeClaim", "team-data", status={"phase": "Bound"})

    def delete_it(now: str, kind: str, name: str) -> None:
        if now == verb and (kind, name) in {("CronJob", "team-gc"), (names.KIND, "team")}:
            del made.cluster.objects[names.KIND, "team-a", "team"]

    if verb == "apply":
        made.cluster.after = delete_it
    else:
        made.cluster.before = delete_it
    await made.operator().reconcile(KEY)
    assert ("CronJob", "team-gc") not in children(made)
    assert ("PersistentVolumeClaim", "team-data") in children(made)


async def test_a_lost_race_on_the_status_takes_nothing_back() -> None:
    made = bench()

    def lose(verb: str, kind: str, name: str) -> None:
        if verb == "apply_status":
            raise errors.Conflict(f"{kind} {name} was changed meanwhile")

    made.cluster.before = lose
    with pytest.raises(errors.Conflict):
        await made.operator().reconcile(KEY)
    assert children(made) == EVERYTHING


async def test_of_two_that_make_the_ca_the_first_one_counts() -> None:
    made = bench()
    other = Bench(cluster=FakeCluster())
    other.cluster.put({**body(), "apiVersion": names.API_VERSION, "kind": names.KIND})
    await other.settle()
    theirs = other.cluster.objects["Secret", "cais-system", "cais-ca"]

    def overtake(verb: str, kind: str, name: str) -> None:
        if (verb, kind, name) == ("create", "Secret", "cais-ca"):
            made.cluster.put(theirs)

    made.cluster.before = overtake
    await made.operator().reconcile(KEY)
    assert made.text("cais-ca", "ca.crt", "cais-system") == made.text("team-tls", "ca.crt")
    assert made.cluster.objects["Secret", "cais-system", "cais-ca"]["data"] == theirs["data"]


async def test_a_registry_recreated_in_mid_reconcile_keeps_no_child_of_the_old_one() -> None:
    made = bench()

    def recreate(verb: str, kind: str, name: str) -> None:
        if (verb, kind, name) == ("create", "Secret", "team-tls"):
            made.cluster.change(names.KIND, "team", metadata={"uid": "another"})

    made.cluster.after = recreate
    await made.operator().reconcile(KEY)
    assert children(made) == {("PersistentVolumeClaim", "team-data")}
    await made.settle()
    assert children(made) == EVERYTHING


async def test_a_secret_that_changed_since_it_was_read_is_not_overwritten() -> None:
    made = bench()
    await made.settle()
    made.cluster.change("Secret", "team-admin", metadata={"labels": {}})

    def meddle(verb: str, kind: str, name: str) -> None:
        if (verb, kind, name) == ("replace", "Secret", "team-admin"):
            made.cluster.before = lambda *_: None
            made.cluster.change("Secret", "team-admin", metadata={"labels": {"other": "hand"}})

    made.cluster.before = meddle
    with pytest.raises(errors.Conflict):
        await made.operator().reconcile(KEY)


async def test_an_unusable_ca_is_never_replaced() -> None:
    made = bench()
    data = {key: base64.b64encode(b"x").decode() for key in ("tls.crt", "tls.key", "ca.crt")}
    metadata = {"name": "cais-ca", "namespace": "cais-system"}
    made.cluster.put({"kind": "Secret", "metadata": metadata, "data": data})
    await made.operator().reconcile(KEY)
    assert made.cluster.objects["Secret", "cais-system", "cais-ca"]["data"] == data
    assert "cais-system/cais-ca" in made.condition("Stalled")["message"]


@dataclass(slots=True, kw_only=True)
class Watcher(Killer):
    """Notes every version of its secrets on the way."""

    made: Bench
    seen: dict[str, set[str]] = field(default_factory=dict)

    def watch(self, _verb: str, kind: str, name: str) -> None:
        if kind == "Secret" and name != "team-users":
            place = "cais-system" if name == "cais-ca" else "team-a"
            data = self.made.cluster.objects["Secret", place, name]["data"]
            self.seen.setdefault(name, set()).add(json.dumps(data, sort_keys=True))


async def test_killed_at_any_request_it_converges_with_one_ca_and_one_password() -> None:
    made = bench()
    await made.settle()
    steps = 2 * len(made.cluster.writes)
    assert steps > 20
    for step in range(steps):
        broken = bench()
        killer = Watcher(made=broken, stop=step // 2 + 1)
        if step % 2:
            broken.cluster.before, broken.cluster.after = killer.kill, killer.watch
        else:
            broken.cluster.after = killer.watch_and_kill
        with pytest.raises(Crash):
            await broken.settle()
        broken.cluster.before, broken.cluster.after = (lambda *_: None), killer.watch
        await broken.settle()
        assert children(broken) == EVERYTHING
        assert all(len(versions) == 1 for versions in killer.seen.values()), step
