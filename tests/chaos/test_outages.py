# SPDX-License-Identifier: Apache-2.0
"""The API server is away for more than a minute, or half there, in the ways in which it can be."""

import itertools
import time
from collections import Counter
from functools import partial
from pathlib import Path

import pytest

from support.apiserver import ApiServer, wait_for
from support.changes import AFTER, BEFORE, is_edited
from support.faults import FAULTS, create_through
from support.killing import Trial, settled
from support.operators import Place
from support.proxy import Proxies
from support.proxy_calls import Fault

AWAY = 75  # seconds
# Calls of one kind in that time: two watches of some, each tries 14 times with the shortest pauses,
# and a request on a connection that breaks is sent once more.
MOST = 2 * 14 * 2
LONG = 20  # seconds of changes under watches that end all the time


@pytest.mark.parametrize(
    "fault",
    [Fault(cut_before=True), Fault(status=503), Fault(status=500)],
    ids=["broken connections", "503", "500"],
)
def test_it_goes_on_after_more_than_a_minute(
    proxies: Proxies, place: Place, tmp_path: Path, fault: Fault
) -> None:
    with settled(proxies, place, BEFORE, tmp_path) as (trial, running):
        trial.proxy.rule = lambda _: fault
        trial.proxy.break_connections()
        edit(place)
        counts = counted(trial)
        trial.proxy.rule = lambda _: None
        wait_edited(trial)
        assert running.is_alive()
    check(trial, counts)


def test_a_leader_ends_once_and_the_next_one_waits(
    proxies: Proxies, place: Place, tmp_path: Path
) -> None:
    """What is started in its place, by the kubelet, finds nobody either."""
    with proxies.proxy() as proxy:
        trial = Trial(place=place, proxy=proxy, log=tmp_path / "operator.log")
        proxy.heard = trial.heard
        place.create_registry(BEFORE)
        with trial.operator(leader_elect=True) as leader:
            wait_for(trial.is_settled, "Ready")
            proxy.is_down = True
            proxy.break_connections()
            edit(place)
            wait_for(lambda: not leader.is_alive(), "it gives up its place")
        with trial.operator(leader_elect=True) as another:
            proxy.count_anew()
            counts = counted(trial)
            proxy.is_down = False
            wait_edited(trial)
            assert another.is_alive()
    check(trial, counts)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", FAULTS)
def test_a_registry_is_created_through_a_fault_of_the_first_of_each_call(
    api: ApiServer, proxies: Proxies, tmp_path: Path, name: str
) -> None:
    create_through(api, proxies, tmp_path, [FAULTS[name]])


@pytest.mark.timeout(900)
def test_a_registry_is_created_though_nobody_answers_the_first_of_each_call(
    api: ApiServer, proxies: Proxies, tmp_path: Path
) -> None:
    create_through(api, proxies, tmp_path, [Fault(hang=True)], 600)


def test_watches_that_last_a_second_miss_nothing(
    proxies: Proxies, place: Place, tmp_path: Path
) -> None:
    def is_back(schedule: str, uid: str) -> bool:
        cron = place.get("CronJob", "team-gc") or {}
        service = place.get("Service", "team")
        is_new = service is not None and service["metadata"]["uid"] != uid
        return is_new and cron["spec"]["schedule"] == schedule

    with settled(proxies, place, BEFORE, tmp_path) as (trial, running):
        trial.proxy.rule = lambda call: Fault(lasts=1.0) if call.verb == "watch" else None
        trial.proxy.break_connections()
        begun = time.monotonic()
        for number in itertools.count():
            schedule = f"{number % 60} 5 * * *"
            uid = (place.get("Service", "team") or {})["metadata"]["uid"]
            place.api.merge(
                place.path("Registry", "team"),
                {"spec": {"garbageCollection": {"schedule": schedule}}},
            )
            place.delete("Service", "team")
            wait_for(partial(is_back, schedule, uid), f"the change number {number}")
            if (seconds := time.monotonic() - begun) > LONG:
                break
        counts = Counter(call.what for call in trial.proxy.calls)
        assert running.is_alive()
    print(f"{number + 1} changes, {sum(counts.values())} calls in {seconds:.0f} s")  # noqa: T201
    watches = {what: count for what, count in counts.items() if what.startswith("watch")}
    assert len(watches) > 5
    assert max(watches.values()) <= 2 * seconds + 4, watches  # there are two of Secrets


def edit(place: Place) -> None:
    """Change the spec, and delete a child."""
    place.api.merge(place.path("Registry", "team"), {"spec": AFTER})
    place.delete("Service", "team")


def counted(trial: Trial) -> "Counter[str]":
    """The calls while it is away."""
    time.sleep(AWAY)  # that nothing much happens cannot be waited for
    return Counter(call.what for call in trial.proxy.calls)


def wait_edited(trial: Trial) -> None:
    begun = time.monotonic()
    wait_for(partial(trial.place.get, "Service", "team"), "what was deleted is back")
    wait_for(partial(is_edited, trial), "what was asked for meanwhile is done")
    print(f"done {time.monotonic() - begun:.0f} s after it is back")  # noqa: T201


def check(trial: Trial, counts: "Counter[str]") -> None:
    """No busy loop; nothing lost, nothing made twice but what the change asks for."""
    print(f"{sum(counts.values())} calls in {AWAY} s")  # noqa: T201
    assert 0 < max(counts.values()) <= MOST, counts
    made = {name: len(values) for name, values in trial.made.items() if len(values) > 1}
    assert made == {"team-tls": 2}
    assert len(trial.claims) == 1
