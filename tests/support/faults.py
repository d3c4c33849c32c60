# SPDX-License-Identifier: Apache-2.0
"""A Registry is created while calls of many kinds go wrong."""

import itertools
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from support.apiserver import ApiServer, wait_for
from support.changes import BEFORE
from support.killing import Trial
from support.operators import new_place
from support.proxy import Proxies
from support.proxy_calls import Call, Fault

STRUCK = (  # the first of each fails
    "list services",
    "watch secrets",
    "get secrets/cais-ca",
    "create secrets/team-tls",
    "patch deployments/team",
    "patch registries/team/status",
)
FAULTS = {
    "conflict": Fault(status=409),
    "busy": Fault(status=429, headers={"Retry-After": "1"}),
    "broken": Fault(status=500),
    "away": Fault(status=503, body=b"<html>no healthy upstream</html>"),
    "unknown to the standard": Fault(status=520, body=b""),
    "gone": Fault(status=410),
    "cut short": Fault(status=200, body=b'{"kind": "Sec'),
    "never heard of": Fault(cut_before=True),
    "done, and the answer lost": Fault(cut_after=True),
}
_DEADLINE = 180.0  # seconds; several operators at once on a machine that may be busy
_MOST = 4  # calls of one kind that a creation may cost, with its faults


def create_through(
    api: ApiServer,
    proxies: Proxies,
    folder: Path,
    faults: Sequence[Fault],
    deadline: float = _DEADLINE,
) -> None:
    """Create one in a place of its own; fails unless it gets Ready, with nothing made twice.

    Args:
        api: Where.
        proxies: Give the operator its way there.
        folder: For its log.
        faults: Of the calls of `STRUCK`, in their order; again from the first one.
        deadline: Seconds until it has to be Ready.
    """
    struck = dict(zip(STRUCK, itertools.cycle(faults), strict=False))

    def rule(call: Call) -> Fault | None:
        return struck.get(call.what) if call.number == 1 else None

    place = new_place(api)
    with proxies.proxy() as proxy:
        trial = Trial(place=place, proxy=proxy, log=folder / f"{place.team}.log")
        proxy.heard, proxy.rule = trial.heard, rule
        place.create_registry(BEFORE)
        with trial.operator() as running:
            wait_for(trial.is_settled, f"{faults}: Ready", deadline)
            wait_for(lambda: proxy.is_quiet(0.3), "it is done")
            assert running.is_alive()
        assert {call.what for call in proxy.calls} >= struck.keys()
        assert {len(values) for values in trial.made.values()} == {0, 1}, faults  # 0: hashes
        assert len(trial.claims) == 1
        writes = Counter(call.what for call in proxy.writes() if call.resource != "events")
        status = writes.pop("patch registries/team/status")
        assert status <= 2 * _MOST
        assert max(writes.values()) <= _MOST, (faults, writes)
