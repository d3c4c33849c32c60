# SPDX-License-Identifier: Apache-2.0
"""etcd is killed by SIGKILL in the middle of a change, and comes back with what it has stored."""

import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from support.apiserver import wait_for
from support.changes import BEFORE, begin_password_rotation, is_password_rotated
from support.killing import Trial, settled
from support.operators import Place
from support.proxy import Proxies
from support.proxy_calls import Call, Fault

AWAY = 20  # seconds
MOST = 24  # calls of one kind in that time; there are two watches of some


@dataclass(slots=True, kw_only=True)
class Blow:
    """Kills etcd at a call, before it is passed on or when it is done; once."""

    trial: Trial
    what: str
    is_after: bool
    struck: threading.Event = field(default_factory=threading.Event)

    def rule(self, call: Call) -> Fault | None:
        if not self.is_after:
            self._strike(call)
        return None

    def heard(self, call: Call, live: dict[str, Any]) -> None:
        self.trial.heard(call, live)
        if self.is_after:
            self._strike(call)

    def _strike(self, call: Call) -> None:
        if call.what == self.what and not self.struck.is_set():
            self.trial.place.api.etcd.kill()
            self.struck.set()

    def ride_out(self) -> None:
        """Wait for it, leave etcd away for a while, and start it again; nobody is in a hurry."""
        api = self.trial.place.api
        assert self.struck.wait(60), f"{self.what} never came"
        with api.etcd.away():
            self.trial.proxy.count_anew()
            time.sleep(AWAY)  # that nothing much happens cannot be waited for
            counts = Counter(call.what for call in self.trial.proxy.calls)
        wait_for(api.is_ready, "the API server is ready again")
        print(f"{sum(counts.values())} calls while etcd was away")  # noqa: T201
        assert max(counts.values(), default=0) <= MOST, counts


@pytest.mark.parametrize("is_after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(
    "what",
    [
        "create secrets/cais-ca",
        "create secrets/team-admin",
        "patch persistentvolumeclaims/team-data",
        "patch registries/team/status",
    ],
)
def test_a_registry_is_created_and_nothing_is_made_twice(
    proxies: Proxies, place: Place, tmp_path: Path, what: str, is_after: bool
) -> None:
    with proxies.proxy() as proxy:
        trial = Trial(place=place, proxy=proxy, log=tmp_path / "operator.log")
        blow = Blow(trial=trial, what=what, is_after=is_after)
        proxy.rule, proxy.heard = blow.rule, blow.heard
        place.create_registry(BEFORE)
        with trial.operator() as running:
            blow.ride_out()
            wait_for(trial.is_settled, "Ready")
            assert running.is_alive()
        check(trial)


@pytest.mark.parametrize("is_after", [False, True], ids=["before", "after"])
def test_a_password_that_is_being_rotated_is_not_lost(
    proxies: Proxies, place: Place, tmp_path: Path, is_after: bool
) -> None:
    with settled(proxies, place, BEFORE, tmp_path) as (trial, running):
        blow = Blow(trial=trial, what="replace secrets/team-user-ci", is_after=is_after)
        trial.proxy.rule, trial.proxy.heard = blow.rule, blow.heard
        begin_password_rotation(trial)
        blow.ride_out()
        wait_for(lambda: is_password_rotated(trial), "the password is rotated")
        assert running.is_alive()
    check(trial, {"team-user-ci": 2})


def check(trial: Trial, twice: dict[str, int] | None = None) -> None:
    """What was acknowledged is stored, and nothing was made once more than it should be."""
    stored = trial.stored()
    for name, values in trial.made.items():
        assert values <= stored[name], f"what was stored in {name} is lost"
    made = {name: len(values) for name, values in trial.made.items() if len(values) > 1}
    assert made == (twice or {})
    assert len(trial.claims) == 1
