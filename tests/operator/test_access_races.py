# SPDX-License-Identifier: Apache-2.0
"""The operator is killed at each of its requests, or somebody is faster: still one password."""

import json
from dataclasses import dataclass, field

import pytest

from cais_operator import errors, names
from support.access_bench import USER, AccessBench, access_bench
from support.fake_cluster import Crash, Killer
from support.operator_bench import KEY

ROTATION = {"every": "24h", "overlap": "1h"}

pytestmark = pytest.mark.usefixtures("cheap_hashes")


def ready_bench() -> AccessBench:
    made = access_bench(serviceAccounts=["default"], rotation=ROTATION)
    made.put_puller("default", "theirs")
    return made


@dataclass(slots=True, kw_only=True)
class Watcher(Killer):
    """Notes every password that was ever there on the way."""

    made: AccessBench
    issued: set[str] = field(default_factory=set)
    delivered: set[str] = field(default_factory=set)

    def watch(self, _verb: str, _kind: str, _name: str) -> None:
        account = self.made.account()
        self.issued |= {one.password for one in account.credentials} if account else set()
        if self.made.secret() is not None:
            self.delivered.add(self.made.password())


async def cut(step: int, begin: AccessBench, *, hours: float = 0) -> tuple[Watcher, bool]:
    """Run until the write number `step // 2`, die before or after it, then run to the end."""
    begin.later(hours=hours)
    killer = Watcher(made=begin, stop=step // 2 + 1)
    if step % 2:
        begin.cluster.before, begin.cluster.after = killer.kill, killer.watch
    else:
        begin.cluster.after = killer.watch_and_kill
    has_died = False
    try:
        await begin.settle_both()
    except Crash:
        has_died = True
    begin.cluster.before, begin.cluster.after = (lambda *_: None), killer.watch
    await begin.settle_both()
    return killer, has_died


async def test_killed_at_any_request_of_a_grant_there_is_one_password() -> None:
    settled = ready_bench()
    del settled.cluster.objects[names.ACCESS_KIND, "team-b", "web"]
    await settled.settle_both()
    start, step = json.dumps(_state(settled)), 0
    while True:
        made = _restored(start, settled)
        made.put_access(serviceAccounts=["default"], rotation=ROTATION)
        killer, has_died = await cut(step, made)
        assert (len(killer.issued), killer.delivered) == (1, {made.password()}), step
        assert made.pulls("default") == ["theirs", "registry"]
        assert made.said()["status"] == "True"
        assert made.users().count(USER) == 1
        if not has_died:
            break
        step += 1
    assert step > 10


async def test_killed_at_any_request_of_a_rotation_there_are_two_passwords_and_then_one() -> None:
    settled = ready_bench()
    await settled.settle_both()
    start, step = json.dumps(_state(settled)), 0
    old = settled.password()
    while True:
        made = _restored(start, settled)
        killer, has_died = await cut(step, made, hours=24)
        assert len(killer.issued) == 2, step
        assert killer.delivered == {old, made.password()} or killer.delivered == {made.password()}
        assert made.password() != old
        assert made.users().count(USER) == 2
        made.later(hours=2)
        await made.settle_both()
        assert made.users().count(USER) == 1
        if not has_died:
            break
        step += 1
    assert step > 8


async def test_killed_at_any_request_of_a_revocation_nothing_is_left() -> None:
    settled = ready_bench()
    await settled.settle_both()
    settled.drop_access()
    start, step = json.dumps(_state(settled)), 0
    while True:
        made = _restored(start, settled)
        _, has_died = await cut(step, made)
        assert made.account() is None
        assert made.users().count(USER) == 0
        assert made.rules() == []
        assert made.pulls("default") == ["theirs"]
        if not has_died:
            break
        step += 1
    assert step > 3


async def test_of_two_that_write_the_accounts_the_slower_one_looks_again() -> None:
    made = ready_bench()
    await made.settle_both()
    made.later(hours=24)
    registry, _ = made.both()

    def overtake(verb: str, kind: str, name: str) -> None:
        if (verb, kind, name) == ("replace", "Secret", "team-access"):
            made.cluster.before = lambda *_: None
            made.cluster.change("Secret", "team-access", metadata={"annotations": {"a": "b"}})

    made.cluster.before = overtake
    with pytest.raises(errors.Conflict):
        await registry.reconcile(KEY)
    await made.settle_both()
    assert made.users().count(USER) == 2


async def test_a_secret_that_appears_meanwhile_is_looked_at_again_and_not_overwritten() -> None:
    made = ready_bench()

    def overtake(verb: str, kind: str, name: str) -> None:
        if (verb, kind, name) == ("create", "Secret", "registry"):
            made.cluster.put({"kind": kind, "metadata": {"name": name, "namespace": "team-b"}})

    made.cluster.before = overtake
    with pytest.raises(errors.Conflict):
        await made.settle_both()
    made.cluster.before = lambda *_: None
    await made.settle_both()
    assert made.said("Stalled")["reason"] == "SecretNotOurs"


async def test_a_service_account_that_changed_meanwhile_loses_nothing() -> None:
    made = ready_bench()

    def overtake(verb: str, kind: str, name: str) -> None:
        if (verb, kind, name) == ("patch", "ServiceAccount", "default"):
            made.cluster.before = lambda *_: None
            made.put_puller("default", "theirs", "newer")

    made.cluster.before = overtake
    with pytest.raises(errors.Conflict):
        await made.settle_both()
    await made.settle_both()
    assert made.pulls("default") == ["theirs", "newer", "registry"]


async def test_an_access_that_goes_in_mid_reconcile_is_cleaned_up_by_the_next_look() -> None:
    made = ready_bench()

    def delete_it(verb: str, kind: str, _name: str) -> None:
        if (verb, kind) == ("patch", "ServiceAccount"):
            made.cluster.after = lambda *_: None
            made.drop_access()

    made.cluster.after = delete_it
    await made.settle_both()
    assert made.pulls("default") == ["theirs"]
    assert made.users().count(USER) == 0
    assert names.ACCESS_KIND not in {kind for kind, _, _ in made.cluster.objects}


def _state(made: AccessBench) -> list[object]:
    objects = list(made.cluster.objects.values())
    return [objects, dict(made.server.files)]


def _restored(start: str, like: AccessBench) -> AccessBench:
    """A bench in a state that was noted; the server has loaded what it had."""
    objects, files = json.loads(start)
    made = AccessBench(now=like.now)
    for live in objects:
        made.cluster.put(live)
    made.server.files = files
    return made
