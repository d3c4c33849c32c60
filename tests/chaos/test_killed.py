# SPDX-License-Identifier: Apache-2.0
"""The operator is killed at each of its calls of the API server: minutes, so not with the rest."""

from functools import partial
from pathlib import Path

import pytest

from support.apiserver import ApiServer
from support.changes import CHANGES
from support.killing import Change, Killing, survive
from support.operators import new_place
from support.proxy import Proxies


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.name.replace(" ", "-"))
def test_killed_at_each_call_it_comes_to_the_same_end_and_generates_nothing_twice(
    api: ApiServer, proxies: Proxies, change: Change, tmp_path: Path
) -> None:
    killing = Killing(proxies, partial(new_place, api), tmp_path)
    calls, tried, came = survive(killing, change)
    print(f"| {change.name} | {calls} | {tried} | {came} |")  # noqa: T201
