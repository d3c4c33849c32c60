# SPDX-License-Identifier: Apache-2.0
"""The end-to-end tests touch no cluster that they were not told to use."""

import pytest

from e2e.kit import Refused, permit


@pytest.mark.parametrize(
    ("mode", "asked", "current"),
    [("", "", ""), ("own", "", "kind-cais"), ("machine", "", "kind-cais"), ("context", "a", "a")],
)
def test_cluster_of_its_own_or_named_one_is_used(mode: str, asked: str, current: str) -> None:
    permit(mode, asked, current)


@pytest.mark.parametrize(
    ("mode", "asked", "current"),
    [("context", "", "production"), ("context", "a", "production"), ("own", "a", "kind-cais")],
)
def test_any_other_cluster_is_refused_by_name(mode: str, asked: str, current: str) -> None:
    with pytest.raises(Refused, match=current):
        permit(mode, asked, current)
