# SPDX-License-Identifier: Apache-2.0
from typing import Any

from cais_operator import errors
from cais_operator.leader import NAME, Leader, Times
from support.fake_cluster import FakeCluster

FAST = Times(lease=15, deadline=0.05, pause=0.001)


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def leader(cluster: FakeCluster, clock: Clock, identity: str = "me") -> Leader:
    return Leader(cluster, namespace="system", identity=identity, clock=clock, times=FAST)


def spec(cluster: FakeCluster) -> dict[str, Any]:
    found: dict[str, Any] = cluster.objects["Lease", "system", NAME]["spec"]
    return found


def held_by(cluster: FakeCluster, holder: str) -> None:
    metadata = {"name": NAME, "namespace": "system"}
    lease = {"holderIdentity": holder, "leaseDurationSeconds": 15, "leaseTransitions": 3}
    cluster.put({"kind": "Lease", "metadata": metadata, "spec": lease})


async def test_without_a_lease_it_is_created_with_a_time_in_utc_and_microseconds() -> None:
    cluster = FakeCluster()
    one = leader(cluster, Clock())
    await one.acquire()
    assert one.leading
    assert spec(cluster)["holderIdentity"] == "me"
    time = spec(cluster)["renewTime"]
    assert time.endswith("Z")
    assert len(time) == len("2026-01-01T00:00:00.000000Z")


async def test_a_released_lease_is_taken_at_once_and_the_transition_is_counted() -> None:
    cluster = FakeCluster()
    held_by(cluster, "")
    await leader(cluster, Clock()).acquire()
    assert spec(cluster)["leaseTransitions"] == 4


async def test_the_lease_of_another_is_left_alone_while_it_moves() -> None:
    cluster, clock = FakeCluster(), Clock()
    held_by(cluster, "other")
    one = leader(cluster, clock)
    for _ in range(5):
        assert not await one._try()
        clock.now += 10
        held_by(cluster, "other")  # renewed
    assert spec(cluster)["holderIdentity"] == "other"


async def test_a_lease_that_stood_still_for_its_duration_is_taken() -> None:
    cluster, clock = FakeCluster(), Clock()
    held_by(cluster, "other")
    one = leader(cluster, clock)
    assert not await one._try()
    clock.now += 15
    assert not await one._try()
    clock.now += 0.1
    assert await one._try()
    assert spec(cluster)["holderIdentity"] == "me"


async def test_of_two_that_see_a_free_lease_one_gets_it() -> None:
    cluster, clock = FakeCluster(), Clock()
    held_by(cluster, "")
    one, other = leader(cluster, clock, "one"), leader(cluster, clock, "other")

    def overtake(verb: str, *_: str) -> None:
        if verb == "replace":
            cluster.before = lambda *_: None
            held_by(cluster, "other")

    cluster.before = overtake
    assert not await one._try()
    assert await other._try()


async def test_holding_ends_when_another_has_the_lease() -> None:
    cluster, clock = FakeCluster(), Clock()
    one = leader(cluster, clock)
    await one.acquire()
    held_by(cluster, "thief")
    await one.hold()
    assert not one.leading
    assert spec(cluster)["holderIdentity"] == "thief"


async def test_holding_ends_when_the_api_server_is_silent_for_too_long() -> None:
    cluster, clock = FakeCluster(), Clock()
    one = leader(cluster, clock)
    await one.acquire()

    def away(*_: str) -> None:
        raise errors.ApiUnavailable("away")

    cluster.before = away
    await one.hold()
    assert not one.leading


async def test_releasing_gives_back_only_what_is_held() -> None:
    cluster, clock = FakeCluster(), Clock()
    one = leader(cluster, clock)
    await one.acquire()
    await one.release()
    assert spec(cluster)["holderIdentity"] == ""
    held_by(cluster, "other")
    await one.release()
    assert spec(cluster)["holderIdentity"] == "other"


async def test_a_holder_may_write_only_while_nobody_else_can_lead() -> None:
    cluster, clock = FakeCluster(), Clock()
    one = leader(cluster, clock)
    assert not one.may_write()
    await one.acquire()
    clock.now += 14.9
    assert one.may_write()
    assert await one._try()
    clock.now += 14.9
    assert one.may_write()
    clock.now += 0.1  # paused, or without an answer, for the whole duration
    assert not one.may_write()


async def test_a_standby_looks_again_when_the_lease_ends() -> None:
    cluster, clock = FakeCluster(), Clock()
    held_by(cluster, "other")
    one = Leader(cluster, namespace="system", identity="me", clock=clock)
    assert not await one._try()
    assert one._until_free() == 2.0
    clock.now += 11.5
    assert one._until_free() == 0.5
