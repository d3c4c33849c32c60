# SPDX-License-Identifier: Apache-2.0
"""The watch of Registries, which kopf keeps: it breaks in many ways, and hangs."""

import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

import pytest

from support.apiserver import ApiServer, free_port, wait_for
from support.changes import BEFORE
from support.forked import Forked
from support.killing import Trial, settled
from support.operators import new_place
from support.proxy import Proxies
from support.proxy_calls import Call, Fault, told

WATCH = "watch registries"
LIST = "list registries"
SECONDS = 3
MOST = 16  # calls of one kind in that time: pauses double
AGE = 'cais_watch_last_event_age_seconds{kind="Registry"}'
ENDS = 'cais_watch_restarts_total{kind="Registry",reason="failed"}'
_schedules = count(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    trial: Trial
    running: Forked
    health: str

    def strike(self, fault: Fault | None, *whats: str) -> None:
        """Have these calls fail from now on, and what is open break."""

        def rule(call: Call) -> Fault | None:
            return fault if call.what in whats else None

        self.trial.proxy.count_anew()
        self.trial.proxy.rule = rule
        self.trial.proxy.break_connections()

    def calls(self, what: str) -> int:
        return sum(call.what == what for call in self.trial.proxy.calls)

    def number(self, name: str) -> float:
        with urllib.request.urlopen(f"http://{self.health}/metrics", timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        return float(next(line.split()[-1] for line in lines if line.startswith(name)))

    def edit(self) -> str:
        place, schedule = self.trial.place, f"{next(_schedules)} 5 * * *"
        change = {"spec": {"garbageCollection": {"schedule": schedule}}}
        place.api.merge(place.path("Registry", "team"), change)
        return schedule

    def wait_done(self, schedule: str) -> None:
        def is_done() -> bool:
            live = self.trial.place.get("CronJob", "team-gc") or {}
            return bool(live["spec"]["schedule"] == schedule)

        wait_for(is_done, "the change is done")
        assert self.running.is_alive()

    def heal(self, schedule: str) -> None:
        """Let all through again; until what was asked for meanwhile is done, and more."""
        self.strike(None)
        wait_for(lambda: self.calls(WATCH), "the watch is begun anew")
        self.wait_done(schedule)
        self.wait_done(self.edit())  # which the watch has brought, so that it is well


@pytest.fixture(scope="module")
def bench(
    api: ApiServer, proxies: Proxies, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Bench]:
    health = f"127.0.0.1:{free_port()}"
    folder, place = tmp_path_factory.mktemp("operator"), new_place(api)
    with settled(proxies, place, BEFORE, folder, health) as (trial, running):
        yield Bench(trial=trial, running=running, health=health)


@pytest.mark.parametrize(
    ("fault", "whats"),
    [
        (told(500), {WATCH}),
        (Fault(status=200, body=b""), {WATCH}),
        (Fault(status=200, body=b'{"items": ['), {WATCH, LIST}),
    ],
    ids=["an error", "nothing", "half an answer, to lists too"],
)
def test_a_watch_that_always_ends_at_once_is_begun_anew_and_not_all_the_time(
    bench: Bench, fault: Fault, whats: set[str]
) -> None:
    bench.strike(fault, *whats)
    schedule = bench.edit()
    time.sleep(SECONDS)  # that nothing much happens cannot be waited for
    assert bench.calls(WATCH) > 0
    assert 1 < bench.calls(WATCH) + bench.calls(LIST) <= MOST
    bench.heal(schedule)


def test_a_watch_that_hangs_is_seen_and_one_that_is_begun_anew_too(bench: Bench) -> None:
    failed = bench.number(ENDS)
    bench.strike(Fault(hang=True), WATCH)
    wait_for(lambda: bench.calls(WATCH), "it is asked for")
    schedule = bench.edit()
    begun = bench.number(AGE)
    wait_for(lambda: bench.number(AGE) > begun + 1, "it gets older")
    bench.heal(schedule)
    assert bench.number(AGE) < begun + 1
    assert bench.number(ENDS) > failed
