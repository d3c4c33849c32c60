# SPDX-License-Identifier: Apache-2.0
"""An API server, or what stands before it, that answers with errors, nonsense, or not at all."""

import json
import time
from collections import Counter
from functools import partial
from pathlib import Path

import pytest

from support.apiserver import ApiServer, wait_for
from support.changes import BEFORE, begin_password_rotation, is_password_rotated
from support.faults import FAULTS, create_through
from support.killing import settled
from support.operators import Place
from support.proxy import Proxies
from support.proxy_calls import Call, Fault, expired

MOST_CALLS = 24  # of one kind in some seconds of trouble; there are two watches of some


@pytest.mark.timeout(900)
@pytest.mark.parametrize("first", [0, 4])
def test_a_registry_is_created_through_faults_and_nothing_is_made_twice(
    api: ApiServer, proxies: Proxies, tmp_path: Path, first: int
) -> None:
    """Each fault once at least; `make chaos` has each at each call."""
    create_through(api, proxies, tmp_path, tuple(FAULTS.values())[first:])


def delete_and_wait(place: Place) -> None:
    """Until a deleted child is back."""
    uid = (place.get("ConfigMap", "team-ca") or {})["metadata"]["uid"]
    place.delete("ConfigMap", "team-ca")

    def is_back() -> bool:
        now = place.get("ConfigMap", "team-ca")
        return now is not None and now["metadata"]["uid"] != uid

    wait_for(is_back, "a deleted child is back")


def test_watches_that_end_expire_or_break_are_begun_anew_and_not_all_the_time(
    proxies: Proxies, place: Place, tmp_path: Path
) -> None:
    """Through a broken balancer: each watch ends at once, in one of three ways."""
    ends = {0: expired(), 1: Fault(status=200, body=b""), 2: Fault(cut_before=True)}

    def rule(call: Call) -> Fault | None:
        return ends[call.number % 3] if call.verb == "watch" else None

    with settled(proxies, place, BEFORE, tmp_path) as (trial, running):
        trial.proxy.rule = rule
        trial.proxy.break_connections()
        time.sleep(8)  # that nothing much happens cannot be waited for
        counts = Counter(call.what for call in trial.proxy.calls)
        trial.proxy.rule = lambda _: None
        delete_and_wait(place)
        assert running.is_alive()
    assert max(counts.values()) <= MOST_CALLS, counts


def test_an_api_server_that_is_away_is_not_asked_all_the_time(
    proxies: Proxies, place: Place, tmp_path: Path
) -> None:
    with settled(proxies, place, BEFORE, tmp_path) as (trial, running):
        trial.proxy.is_down = True
        trial.proxy.break_connections()
        time.sleep(15)  # see above
        counts = Counter(call.what for call in trial.proxy.calls)
        trial.proxy.is_down = False
        delete_and_wait(place)
        assert running.is_alive()
    assert max(counts.values()) <= MOST_CALLS, counts


def test_a_stale_list_overwrites_nothing(proxies: Proxies, place: Place, tmp_path: Path) -> None:
    """Lists of Secrets from before a rotation began are served while it goes on."""
    with settled(proxies, place, BEFORE, tmp_path) as (trial, _):
        old = json.dumps(place.api.request("GET", place.path("Secret"))).encode()

        def rule(call: Call) -> Fault | None:
            is_stale = call.what == "list secrets" and 1 < call.number < 5
            return Fault(status=200, body=old) if is_stale else None

        trial.proxy.rule = rule
        begin_password_rotation(trial)
        wait_for(partial(is_password_rotated, trial), "the password is rotated")
    made = {name: len(found) for name, found in trial.made.items()}
    assert {name: count for name, count in made.items() if count > 1} == {"team-user-ci": 2}
