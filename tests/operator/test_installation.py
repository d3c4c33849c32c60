# SPDX-License-Identifier: Apache-2.0
import asyncio
import logging
from typing import Any

import pytest

from cais_operator import errors, names
from cais_operator.cluster import Children, Object
from cais_operator.errors import ApiUnavailable, CaisError, Conflict, Rejected
from cais_operator.installation import CLUSTER_NAME, CLUSTER_PLACE, MARK, NAME, Installation
from cais_operator.resource import Key
from cais_operator.settings import Settings
from support.fake_cluster import FakeCluster

KEY = Key("team-a", "team")
OURS, OTHERS = "cais-system", "elsewhere"
HERE = ("ConfigMap", "team-a", NAME)
EVERYWHERE = ("ConfigMap", CLUSTER_PLACE, CLUSTER_NAME)


class World:
    """A cluster, and one installation with what its watches have shown."""

    def __init__(self, *namespaces: str, system: str = OURS, role: str = "") -> None:
        self.cluster = FakeCluster()
        self.children = Children()
        self.settings = Settings(namespaces=namespaces, system_namespace=system, role=role)
        self.one = Installation(self.cluster, self.children, self.settings, pause=0)

    def claim(self, holder: str | None, place: tuple[str, str, str] = HERE) -> Object:
        """One of another installation, or of somebody who forged it; the watch shows it."""
        metadata: dict[str, Any] = {"namespace": place[1], "name": place[2]}
        if holder is not None:
            metadata["annotations"] = {MARK: holder}
        live = self.cluster.put({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})
        self.children.put(live)
        return live

    def lose(self, place: tuple[str, str, str]) -> None:
        """Somebody deletes it; the watch shows that."""
        self.children.drop(self.cluster.objects.pop(place))


async def test_a_namespace_is_marked_once_and_by_name() -> None:
    world = World()
    await world.one.take(names.KIND, KEY)
    live = world.cluster.objects[HERE]
    assert live["metadata"]["annotations"] == {MARK: OURS}
    assert live["metadata"]["labels"][names.MANAGED_BY] == names.MANAGER  # the watches see it
    before = list(world.cluster.requests)
    await world.one.take(names.KIND, KEY)
    assert world.cluster.requests == before
    assert not world.one.is_anothers("team-a")


@pytest.mark.parametrize(
    ("namespaces", "kind", "place"), [((), "ClusterRole", ""), (("team-a",), "Role", "team-a")]
)
async def test_the_mark_goes_with_the_role_of_the_installation(
    namespaces: tuple[str, ...], kind: str, place: str
) -> None:
    world = World(*namespaces, role="cais-operator")
    group = "rbac.authorization.k8s.io/v1"
    metadata = {"name": "cais-operator", "namespace": place, "uid": "r-1"}
    world.cluster.put({"apiVersion": group, "kind": kind, "metadata": metadata})
    await world.one.take(names.KIND, KEY)
    owner = {"apiVersion": group, "kind": kind, "name": "cais-operator", "uid": "r-1"}
    assert world.cluster.objects[HERE]["metadata"]["ownerReferences"] == [owner]


async def test_no_mark_is_left_that_would_outlive_the_installation() -> None:
    world = World(role="cais-operator")  # which is not there any more
    await world.one.take(names.KIND, KEY)
    assert HERE not in world.cluster.objects


@pytest.mark.parametrize("holder", [OTHERS, "", None, "x" * 5000])
async def test_a_namespace_of_another_installation_is_left_alone(
    holder: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    world = World()
    world.claim(holder)
    assert world.one.is_anothers("team-a")
    with pytest.raises(Conflict, match="team-a is looked after by") as refused:
        await world.one.take(names.KIND, KEY)
    assert len(str(refused.value)) < 400
    assert world.cluster.writes == []
    assert world.one.refused() == 1
    assert world.one.unready() is None  # it was not given this namespace by name
    assert [one.levelno for one in caplog.records] == [logging.ERROR]  # once, not at each look


async def test_of_two_that_come_at_once_one_gets_the_namespace() -> None:
    world = World()
    world.cluster.put(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"namespace": "team-a", "name": NAME, "annotations": {MARK: OTHERS}},
        }
    )  # and no watch has shown it yet
    with pytest.raises(Conflict, match=OTHERS):
        await world.one.take(names.KIND, KEY)
    assert world.one.is_anothers("team-a")


async def test_a_second_one_of_the_whole_cluster_waits_until_the_first_is_removed() -> None:
    world = World()
    world.claim(OTHERS, EVERYWHERE)
    waiting = asyncio.create_task(world.one.settle())
    for _ in range(5):
        await asyncio.sleep(0)
    assert not waiting.done()
    assert world.one.is_waiting
    assert "this cluster is looked after by the installation of Cais in namespace elsewhere" in (
        world.one.unready() or ""
    )
    assert world.cluster.writes == []
    world.lose(EVERYWHERE)
    await waiting
    assert world.cluster.objects[EVERYWHERE]["metadata"]["annotations"] == {MARK: OURS}
    assert (world.one.is_waiting, world.one.unready()) == (False, None)


async def test_one_of_named_namespaces_works_in_those_that_are_free_and_says_which_are_not() -> (
    None
):
    world = World("team-a", "team-b")
    world.claim(OTHERS)
    await world.one.settle()
    assert world.cluster.objects["ConfigMap", "team-b", NAME]["metadata"]["annotations"]
    assert EVERYWHERE not in world.cluster.objects
    assert "namespace team-a" in (world.one.unready() or "")
    assert "team-b" not in (world.one.unready() or "")
    world.lose(HERE)
    await world.one.settle()
    assert world.one.unready() is None


async def test_an_installation_that_lost_the_cluster_ends() -> None:
    world = World()
    await world.one.settle()
    world.lose(EVERYWHERE)
    taken_again = asyncio.Event()
    world.cluster.after = lambda *_: taken_again.set()
    keeping = asyncio.create_task(world.one.keep())
    await taken_again.wait()
    assert EVERYWHERE in world.cluster.objects
    world.lose(EVERYWHERE)
    world.claim(OTHERS, EVERYWHERE)
    with pytest.raises(CaisError, match=OTHERS):
        await keeping


async def test_a_namespace_is_given_up_when_nothing_is_left_in_it() -> None:
    world = World()
    for kind in (names.KIND, names.ACCESS_KIND):
        await world.one.take(kind, KEY)
    await world.one.leave(names.KIND, KEY)
    await world.one.leave(names.KIND, Key("team-a", "never-there"))
    assert HERE in world.cluster.objects
    await world.one.leave(names.ACCESS_KIND, KEY)
    assert HERE not in world.cluster.objects
    await world.one.take(names.KIND, KEY)
    assert HERE in world.cluster.objects


async def test_a_namespace_that_was_given_by_name_is_kept() -> None:
    world = World("team-a")
    await world.one.take(names.KIND, KEY)
    await world.one.leave(names.KIND, KEY)
    assert HERE in world.cluster.objects


async def test_what_cannot_be_marked_is_looked_after_all_the_same() -> None:
    world = World()
    refusal = Rejected(status=403, reason="Forbidden", message="a policy", subject="ConfigMap")

    def refuse(verb: str, *_: str) -> None:
        if verb == "create":
            raise refusal

    world.cluster.before = refuse
    await world.one.settle()
    await world.one.take(names.KIND, KEY)
    assert world.one.unready() is None


async def test_an_api_server_out_of_reach_is_a_reason_to_try_again() -> None:
    world = World()

    def refuse(*_: str) -> None:
        raise errors.ApiUnavailable("no answer")

    world.cluster.before = refuse
    with pytest.raises(ApiUnavailable):
        await world.one.take(names.KIND, KEY)
