# SPDX-License-Identifier: Apache-2.0
"""Two operators, each with a proxy of its own: the leader dies, is paused, or is cut off."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from support.apiserver import ApiServer, wait_for
from support.changes import AFTER, BEFORE, is_edited
from support.forked import Forked
from support.killing import Trial
from support.operators import Place, new_place
from support.proxy import Proxies
from support.proxy_calls import Call, Fault

PROMISED = 20.0  # seconds until another one leads
BUSY = 1.5  # times as long as that may take on a machine that does all the rest, too


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A leader that has settled a Registry, and one that stands by."""

    place: Place
    leader: Forked
    leaders: Trial
    others: Trial

    def wait_edited(self) -> None:
        wait_for(partial(is_edited, self.others), "the other one has done the change")
        wait_for(lambda: self.others.proxy.is_quiet(0.5), "it is done")

    def edit(self) -> None:
        self.place.api.merge(self.place.path("Registry", "team"), {"spec": AFTER})


@contextmanager
def pair(api: ApiServer, proxies: Proxies, folder: Path) -> Iterator[Pair]:
    place = new_place(api)
    with proxies.proxy() as one, proxies.proxy() as other:
        leaders = Trial(place=place, proxy=one, log=folder / "leader.log")
        others = Trial(place=place, proxy=other, log=folder / "other.log")
        others.made, others.claims = leaders.made, leaders.claims
        one.heard, other.heard = leaders.heard, others.heard
        place.create_registry(BEFORE)
        with leaders.operator(leader_elect=True) as leader:
            wait_for(leaders.is_settled, "the leader has settled the Registry")
            with others.operator(leader_elect=True):
                wait_for(lambda: any(c.resource == "leases" for c in other.calls), "a standby")
                wait_for(lambda: one.is_quiet(0.3), "the leader is done")
                assert other.writes() == []
                yield Pair(place=place, leader=leader, leaders=leaders, others=others)


def _kill(leader: Pair) -> None:
    leader.leader.signal(signal.SIGKILL)


def _pause(leader: Pair) -> None:
    leader.leader.signal(signal.SIGSTOP)


def _cut(leader: Pair) -> None:
    leader.leaders.proxy.is_mute = True


@pytest.mark.parametrize("strike", [_kill, _pause, _cut], ids=["killed", "paused", "cut-off"])
def test_the_other_one_takes_over(
    api: ApiServer, proxies: Proxies, tmp_path: Path, strike: object
) -> None:
    with pair(api, proxies, tmp_path) as two:
        assert callable(strike)
        strike(two)
        begun = time.monotonic()
        two.edit()
        wait_for(two.others.proxy.writes, "the other one writes")
        took = time.monotonic() - begun
        print(f"handed over in {took:.1f} s")  # noqa: T201
        assert took < PROMISED * BUSY
        two.wait_edited()
        if strike is _cut:
            wait_for(lambda: not two.leader.is_alive(), "the one that was cut off ends")
        check(two)


def test_a_leader_that_was_paused_half_way_writes_nothing_more(
    api: ApiServer, proxies: Proxies, tmp_path: Path
) -> None:
    def rule(call: Call) -> Fault | None:
        is_it = call.what == "replace secrets/team-tls"
        return Fault(pause_after=True) if is_it else None

    with pair(api, proxies, tmp_path) as two:
        before = len(two.leaders.proxy.writes())
        two.leaders.proxy.rule = rule
        two.edit()
        two.wait_edited()
        written = two.leaders.proxy.writes()[before:]
        assert [call.name for call in written if call.verb == "replace"] == ["team-tls"]
        two.leader.signal(signal.SIGCONT)  # with the answer before it, and much to do
        wait_for(lambda: not two.leader.is_alive(), "it sees that it has lost the Lease, and ends")
        assert two.leaders.proxy.writes()[before:] == written
        assert is_edited(two.others)
        check(two)


@pytest.mark.parametrize(
    ("late", "answer"), [("create secrets/team-user-new", 409), ("patch cronjobs/team-gc", 200)]
)
def test_a_write_that_was_on_its_way_too_long_does_no_harm(
    api: ApiServer, proxies: Proxies, tmp_path: Path, late: str, answer: int
) -> None:
    """Of the leader before: what it generates comes too late, what it applies is put right."""
    with pair(api, proxies, tmp_path) as two:
        proxy = two.leaders.proxy
        proxy.count_anew()
        proxy.rule = lambda call: Fault(hold=True) if call.what == late else None
        change = {"spec": AFTER | {"garbageCollection": {"schedule": "9 9 * * *"}}}
        two.place.api.merge(two.place.path("Registry", "team"), change)
        wait_for(lambda: any(call.what == late for call in proxy.calls), "it is on its way")
        two.leader.signal(signal.SIGSTOP)
        two.edit()
        two.wait_edited()
        generation = (two.place.get("CronJob", "team-gc") or {})["metadata"]["generation"]
        before = len(proxy.answers[late])
        proxy.holds = False
        (status,) = wait_for(lambda: proxy.answers[late][before:], "it has arrived")
        assert status == answer
        two.wait_edited()
        again = (two.place.get("CronJob", "team-gc") or {})["metadata"]["generation"]
        assert again - generation == (2 if status == 200 else 0)
        check(two)


def check(two: Pair) -> None:
    """No second key, password or claim."""
    made = {name: len(values) for name, values in two.leaders.made.items()}
    assert {name: count for name, count in made.items() if count > 1} == {"team-tls": 2}
    assert len(two.leaders.claims) == 1
