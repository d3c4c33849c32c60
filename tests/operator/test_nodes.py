# SPDX-License-Identifier: Apache-2.0
"""What the operator publishes for nodes, and when."""

import asyncio
from typing import Any

import pytest

from cais_operator import errors, names
from cais_operator import nodes as module
from cais_operator.node_trust.entries import FILE, Entry, decode, encode
from cais_operator.nodes import Nodes, entry_of
from cais_operator.resource import Key
from cais_operator.world import World
from operator_builders import authority, registry
from support.fake_cluster import FakeCluster
from support.operator_bench import KEY, bench

SYSTEM = "cais-system"


def key(name: str) -> Key:
    return Key("team-a", name)


def entry(name: str, address: str = "10.96.7.7") -> Entry:
    bundle = authority().bundle
    return Entry(namespace="team-a", name=name, addresses=(address,), port=5000, authority=bundle)


class Bench:
    """Nodes over a cluster, run for as long as anything is left to do."""

    def __init__(self, *published: Entry) -> None:
        self.cluster = FakeCluster()
        if published:
            self.put({FILE: encode(published)[0]})
        self.nodes = Nodes(self.cluster, SYSTEM, resync=300)

    def put(self, data: dict[str, str]) -> None:
        metadata = {"name": names.NODES_CONFIG_MAP, "namespace": SYSTEM}
        self.cluster.put({"kind": "ConfigMap", "metadata": metadata, "data": data})

    async def told(self) -> dict[str, str] | None:
        """Names and addresses in the ConfigMap, once the loop has nothing more to do."""
        task = asyncio.create_task(self.nodes.run())
        for _ in range(200):
            await asyncio.sleep(0)
        assert not task.done()
        task.cancel()
        found = self.cluster.objects.get(("ConfigMap", SYSTEM, names.NODES_CONFIG_MAP), {})
        text = (found.get("data") or {}).get(FILE)
        return {one.name: one.addresses[0] for one in decode(text)} if text else None


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_TOGETHER", 0)
    monkeypatch.setattr(module, "_PAUSE", 0)


async def test_nothing_is_told_until_every_registry_was_looked_at() -> None:
    made = Bench()
    made.nodes.looked(key("a"), entry("a"))
    assert await made.told() is None
    made.nodes.listed([key("a"), key("b")])
    assert await made.told() is None
    made.nodes.looked(key("b"), None)
    assert await made.told() == {"a": "10.96.7.7"}


async def test_without_any_registry_nodes_are_told_that_there_is_none() -> None:
    made = Bench()
    made.nodes.listed([])
    assert await made.told() == {}


async def test_what_was_told_stays_for_those_that_cannot_be_looked_at() -> None:
    made = Bench(entry("gone"), entry("paused", "10.96.7.8"), entry("moved"))
    made.nodes.listed([key("paused"), key("moved")])
    made.nodes.looked(key("paused"), None)
    made.nodes.looked(key("moved"), entry("moved", "10.96.7.9"))
    assert await made.told() == {"paused": "10.96.7.8", "moved": "10.96.7.9"}
    made.nodes.forget(key("paused"))
    assert await made.told() == {"moved": "10.96.7.9"}


async def test_nothing_is_written_where_nothing_differs() -> None:
    made = Bench(entry("a"), entry("b"))
    made.nodes.listed([key("a"), key("b")])
    for name in ("b", "a"):
        made.nodes.looked(key(name), entry(name))
    assert await made.told() == {"a": "10.96.7.7", "b": "10.96.7.7"}
    assert made.cluster.writes == []


@pytest.mark.parametrize("data", [{}, {FILE: "not ours"}])
async def test_a_config_map_that_was_emptied_is_written_again(data: dict[str, str]) -> None:
    made = Bench()
    made.put(data)
    made.nodes.listed([key("a")])
    made.nodes.looked(key("a"), entry("a"))
    assert await made.told() == {"a": "10.96.7.7"}


async def test_pods_are_touched_once_for_each_change_and_a_lost_one_is_passed() -> None:
    made = Bench()
    labels = {"app.kubernetes.io/name": names.NODE_TRUST}
    for name in ("one", "lost", "two"):
        metadata = {"name": name, "namespace": SYSTEM, "labels": labels}
        made.cluster.put({"kind": "Pod", "metadata": metadata})

    def lose(verb: str, kind: str, name: str) -> None:
        del kind
        if (verb, name) == ("patch", "lost"):
            raise errors.NotFound("it is gone")

    made.cluster.before = lose
    made.nodes.listed([key("a")])
    made.nodes.looked(key("a"), entry("a"))
    await made.told()
    made.nodes.looked(key("a"), entry("a"))
    await made.told()
    touched = [one[2] for one in made.cluster.writes if one[0] == "patch"]
    assert touched == ["one", "two"]


async def test_a_refusal_is_tried_again() -> None:
    made = Bench()
    refused: list[str] = []

    def refuse(verb: str, kind: str, name: str) -> None:
        del kind, name
        if len(refused) < 3:
            refused.append(verb)
            raise errors.ApiUnavailable("not now")

    made.cluster.before = refuse
    made.nodes.listed([key("a")])
    made.nodes.looked(key("a"), entry("a"))
    assert await made.told() == {"a": "10.96.7.7"}


@pytest.mark.usefixtures("cheap_hashes")
async def test_a_reconcile_tells_how_nodes_reach_the_registry() -> None:
    made = bench()
    await made.settle()
    outcome = await made.operator().reconcile(KEY)
    assert outcome.entry is not None
    assert outcome.entry.addresses == ("10.96.0.7",)
    bundle = made.cluster.objects["ConfigMap", "team-a", "team-ca"]["data"]["ca.crt"]
    assert outcome.entry.authority == bundle


@pytest.mark.usefixtures("cheap_hashes")
@pytest.mark.parametrize("spec", [{"paused": True}, {"storage": {"volume": {"size": "1Gi"}}}])
async def test_a_reconcile_that_may_not_write_tells_nothing(spec: dict[str, Any]) -> None:
    made = bench()
    await made.settle()
    made.cluster.change(names.KIND, "team", spec=spec)
    if not spec.get("paused"):  # a claim does not shrink
        claim = {"resources": {"requests": {"storage": "10Gi"}}}
        made.cluster.change("PersistentVolumeClaim", "team-data", spec=claim)
    assert (await made.operator().reconcile(KEY)).entry is None


SERVICE = {"spec": {"clusterIP": "10.96.7.7"}}


def test_plain_http_is_told_as_such_and_one_that_all_trust_without_an_authority() -> None:
    world = World()
    world.bodies["Service", "team"] = SERVICE
    plain = entry_of(registry({"tls": {"disabled": {}}}), world)
    assert plain is not None
    assert (plain.scheme, plain.authority) == ("http", "")
    own = entry_of(registry({"tls": {"secretRef": {"name": "mine"}}}), world)
    assert own is not None
    assert (own.scheme, own.authority) == ("https", "")


def test_a_bundle_that_is_none_is_not_told() -> None:
    world = World()
    assert entry_of(registry(), world) is None
    world.bodies["Service", "team"] = SERVICE
    assert entry_of(registry(), world) is None
    world.bodies["ConfigMap", "team-ca"] = {"data": {"ca.crt": "nonsense"}}
    assert entry_of(registry(), world) is None
    world.bodies["ConfigMap", "team-ca"] = {"data": {"ca.crt": authority().bundle}}
    assert entry_of(registry(), world) is not None
