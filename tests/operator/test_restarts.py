# SPDX-License-Identifier: Apache-2.0
"""An upgrade of many servers: in turn, counted by what the cluster tells."""

import asyncio
import contextlib
import copy
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest

from cais_operator import names
from cais_operator.cluster import Children
from cais_operator.consumers import Directory
from cais_operator.reconcile import Reconciler
from cais_operator.resource import Key
from cais_operator.restarts import Restarts
from cais_operator.rotation import Turns
from cais_operator.settings import Settings
from operator_builders import SETTINGS, body, nobody_else
from support.operator_bench import Bench

OLD = replace(SETTINGS, registry_image="cais-registry:0.1.0", rollout_max_concurrent=2)
CHANGE = "image cais-registry:0.1.0 becomes cais-registry:0.1.1"
NEW = replace(OLD, registry_image="cais-registry:0.1.1")


@dataclass(slots=True)
class Fleet(Bench):
    """Registries, and one operator after another."""

    invited: list[Key] = field(default_factory=list)
    came: asyncio.Event = field(default_factory=asyncio.Event)

    def add(self, count: int, spec: dict[str, Any] | None = None) -> None:
        for at in range(count):
            made = body(spec, name=f"r{at}")
            self.cluster.put({**made, "apiVersion": names.API_VERSION, "kind": names.KIND})

    def start(self, settings: Settings) -> tuple[Reconciler, Restarts]:
        """An operator that has seen everything there is."""
        children = Children()
        for (kind, _, _), live in self.cluster.objects.items():
            if kind not in (names.KIND, "Event") and live["metadata"]["namespace"] == "team-a":
                children.put(live)
        restarts = Restarts(children, settings, self.invite, now=lambda: self.now)
        reconciler = Reconciler(
            cluster=self.cluster,
            children=children,
            directory=Directory(),
            server=self.server,
            settings=settings,
            turns=Turns(),
            restarts=restarts,
            take=nobody_else,
            now=lambda: self.now,
        )
        return reconciler, restarts

    def invite(self, key: Key) -> None:
        self.invited.append(key)
        self.came.set()

    async def look(self, settings: Settings, *only: str) -> Reconciler:
        """A new operator looks at each Registry, or at some."""
        reconciler, _ = self.start(settings)
        for key in [key for key in self.registries() if not only or key.name in only]:
            await reconciler.reconcile(key)
        return reconciler

    def registries(self) -> list[Key]:
        return [Key("team-a", name) for kind, _, name in self.cluster.objects if kind == names.KIND]

    def deployment(self, name: str) -> dict[str, Any]:
        return self.cluster.objects["Deployment", "team-a", name]

    def image(self, name: str) -> str:
        found: str = self.deployment(name)["spec"]["template"]["spec"]["containers"][0]["image"]
        return found.rpartition(":")[2]

    def upgraded(self) -> list[str]:
        return [key.name for key in self.registries() if self.image(key.name) == "0.1.1"]

    def config(self, name: str) -> str:
        data = self.cluster.objects["ConfigMap", "team-a", f"{name}-config"]["data"]
        return str(data["server.yaml"])

    def starting(self, name: str) -> None:
        """The controller has seen the change, and no pod is ready."""
        seen = self.deployment(name)["metadata"]["generation"]
        status = {"observedGeneration": seen, "availableReplicas": 0}
        self.cluster.change("Deployment", name, status=status)

    def edit(self, name: str, **spec: Any) -> None:
        live = self.cluster.objects[names.KIND, "team-a", name]
        live["spec"] = {**live["spec"], **spec}
        live["metadata"]["generation"] += 1

    def told(self, name: str, reason: str) -> list[str]:
        return [
            event["message"]
            for (kind, _, _), event in self.cluster.objects.items()
            if kind == "Event"
            and event["involvedObject"]["name"] == name
            and event["reason"] == reason
        ]

    def said(self, name: str, kind: str) -> dict[str, Any]:
        conditions = self.cluster.objects[names.KIND, "team-a", name]["status"]["conditions"]
        return next(one for one in conditions if one["type"] == kind)


async def build(count: int) -> Fleet:
    made = Fleet()
    made.add(count)
    await made.look(OLD)
    for key in made.registries():
        made.run_pods(key.name)
    await made.look(OLD)
    return made


@pytest.fixture(scope="module")
def prepared() -> Fleet:
    return asyncio.run(build(6))


@pytest.fixture
def made(prepared: Fleet) -> Fleet:
    """Six Registries whose servers are up, of the version before."""
    return copy.deepcopy(prepared)


async def test_so_many_restart_at_a_time_and_the_next_when_one_is_ready(made: Fleet) -> None:
    await made.look(NEW)
    assert made.upgraded() == ["r0", "r1"]
    await made.look(NEW)  # another operator: the same count
    assert made.upgraded() == ["r0", "r1"]
    made.run_pods("r1")
    await made.look(NEW)
    assert made.upgraded() == ["r0", "r1", "r2"]
    for name in ("r0", "r2"):
        made.run_pods(name)
    await made.look(NEW)
    assert made.upgraded() == ["r0", "r1", "r2", "r3", "r4"]
    assert made.told("r5", "RestartForUpgrade") == []


async def test_who_restarts_says_why_once_and_who_waits_stays_ready(made: Fleet) -> None:
    made.load_of("r2")
    await made.look(NEW)
    made.starting("r0")
    await made.look(NEW)
    why = "the server restarts for an upgrade: " + CHANGE
    assert made.told("r0", "RestartForUpgrade") == [why]
    assert made.told("r2", "RestartForUpgrade") == []
    assert made.said("r0", "ServerReady")["reason"] == "PodStarting"
    assert made.said("r2", "Ready")["status"] == "True"
    turn = "; an upgrade waits for its turn, as at most 2 servers restart at once"
    assert made.said("r2", "ServerReady")["message"].endswith(turn)


async def test_a_change_that_leaves_the_pod_as_it_is_restarts_nothing(made: Fleet) -> None:
    before = {
        key.name: made.deployment(key.name)["metadata"]["generation"] for key in made.registries()
    }
    made.cluster.requests.clear()
    await made.look(replace(OLD, rollout_max_concurrent=1, resync=60.0))
    after = {
        key.name: made.deployment(key.name)["metadata"]["generation"] for key in made.registries()
    }
    assert before == after
    assert not [one for one in made.cluster.requests if one[0] in ("apply", "create", "replace")]


async def test_what_the_owner_asks_for_and_what_others_break_waits_for_nobody(made: Fleet) -> None:
    await made.look(NEW, "r0", "r1")  # all turns are taken
    made.edit("r2", pod={"labels": {"a": "b"}})
    made.edit("r3", quota="1Gi")  # nothing of the pod
    live = made.deployment("r4")["spec"]["template"]["spec"]["containers"][0]
    live["image"] = "somebody/else:1"
    made.starting("r5")
    await made.look(NEW)
    assert made.upgraded() == ["r0", "r1", "r2", "r4", "r5"]
    assert made.told("r2", "RestartForSpec") == ["the server restarts, as the spec asks: " + CHANGE]
    assert "was changed by somebody" in made.told("r4", "RestartForRepair")[0]
    assert made.told("r5", "RestartForUpgrade") != []
    for name in ("r2", "r4", "r5"):  # they hold no turn
        assert names.RESTARTED not in made.deployment(name)["metadata"]["annotations"]


async def test_a_server_that_does_not_come_back_gives_up_its_turn_with_a_warning(
    made: Fleet,
) -> None:
    settings = replace(NEW, rollout_max_failed=2)
    await made.look(settings)
    made.run_pods("r1")
    made.starting("r0")
    made.now += settings.rollout_deadline
    await made.look(settings)
    assert made.upgraded() == ["r0", "r1", "r2", "r3"]  # a third one would be one too many
    assert made.said("r0", "ServerReady")["reason"] == "RestartFailed"
    (message,) = made.told("r0", "RestartFailed")
    assert message.startswith("the server is not ready again since it was upgraded")
    made.run_pods("r0")
    await made.look(settings, "r0")
    assert made.said("r0", "ServerReady")["reason"] != "RestartFailed"


async def test_an_upgrade_that_breaks_servers_stands_still(made: Fleet) -> None:
    settings = replace(NEW, rollout_max_failed=2)
    await made.look(settings)
    made.now += settings.rollout_deadline
    await made.look(settings)
    assert made.upgraded() == ["r0", "r1"]
    # going back reaches those at once that are down, and nobody else has to change
    await made.look(replace(OLD, rollout_max_failed=2))
    assert made.upgraded() == []


async def test_a_pinned_server_is_no_part_of_it(made: Fleet) -> None:
    made.edit("r0", version="0.1.0")
    await made.look(NEW)
    assert made.upgraded() == ["r1", "r2"]
    made.edit("r0", version="0.1.1")
    await made.look(NEW)
    assert made.upgraded() == ["r0", "r1", "r2"]


async def test_whoever_waits_is_invited_as_soon_as_a_turn_is_free(made: Fleet) -> None:
    reconciler, restarts = made.start(NEW)
    running = asyncio.create_task(restarts.run())
    for key in made.registries():
        await reconciler.reconcile(key)
    await asyncio.sleep(0)
    assert (made.upgraded(), made.invited) == (["r0", "r1"], [])
    made.run_pods("r0")
    made.now += timedelta(seconds=1)
    reconciler._observer._children.put(made.deployment("r0"))
    restarts.changed()
    await made.came.wait()
    assert made.invited == [Key("team-a", "r2")]
    for key in list(made.invited):
        await reconciler.reconcile(key)
    assert made.upgraded() == ["r0", "r1", "r2"]
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running


async def test_looks_at_the_same_time_take_no_turn_too_many(made: Fleet) -> None:
    reconciler, _ = made.start(NEW)
    await asyncio.gather(*(reconciler.reconcile(key) for key in made.registries()))
    assert len(made.upgraded()) == 2


async def test_a_server_that_waits_is_written_what_it_reads(made: Fleet) -> None:
    for key in made.registries():
        made.cluster.objects[names.KIND, "team-a", key.name]["status"]["version"] = "0.0.1"
    await made.look(NEW)
    written = {name: made.config(name) for name in ("r0", "r2")}
    assert ("tokens" in written["r0"], "tokens" in written["r2"]) == (True, False)
