# SPDX-License-Identifier: Apache-2.0
"""The operator is killed at some of its calls of the API server; `make chaos` takes all."""

from functools import partial
from pathlib import Path

import pytest

from support.apiserver import ApiServer
from support.changes import CHANGES
from support.killing import Killing, Point
from support.operators import new_place
from support.proxy import Proxies

# Where something is generated: it is stored already, and the next operator has to find it. In a
# deletion where the operator hears of it, and where it has taken back a part of what it made.
POINTS = {
    "creation": "create secrets/cais-ca",
    "edit": "replace secrets/team-tls",
    "deletion": "get registries/team",
    "deletion with its data": "get registries/team",
    "deletion while it is created": "delete services/team",
    "rotation of a password": "replace secrets/team-user-ci",
    "rotation of the CA": "replace secrets/cais-ca",
}


@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", POINTS)
def test_killed_at_a_call_it_comes_to_the_same_end_and_generates_nothing_twice(
    api: ApiServer, proxies: Proxies, name: str, tmp_path: Path
) -> None:
    change = next(one for one in CHANGES if one.name == name)
    point = Point(what=POINTS[name], number=1, is_after=True)
    assert Killing(proxies, partial(new_place, api), tmp_path).play(change, point).killed
