# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cais_registry.model.globs import matches_repo, matches_text


@pytest.mark.parametrize(
    ("glob", "name", "is_match"),
    [
        ("**", "a", True),
        ("**", "a/b/c", True),
        ("*", "a", True),
        ("*", "a/b", False),
        ("apps/**", "apps/x", True),
        ("apps/**", "apps/x/y", True),
        ("apps/**", "apps", True),
        ("apps/**", "apps2/x", False),
        ("apps/*", "apps/x", True),
        ("apps/*", "apps/x/y", False),
        ("**/cache", "cache", True),
        ("**/cache", "a/b/cache", True),
        ("**/cache", "a/cache/b", False),
        ("a/**/z", "a/z", True),
        ("a/**/z", "a/b/c/z", True),
        ("a/**/m/**/z", "a/m/m/z", True),
        ("te*-*", "team-a", True),
        ("te*-*", "team", False),
        ("*a*b*", "xxaxxbxx", True),
        ("*a*b*", "xxbxxaxx", False),
        ("a", "a", True),
        ("a", "ab", False),
        ("a.b", "axb", False),
    ],
)
def test_globs(glob: str, name: str, *, is_match: bool) -> None:
    assert matches_repo(glob, name) is is_match


@given(
    st.lists(st.sampled_from(["a", "b", "ab", "*", "a*", "**"]), min_size=1, max_size=6), st.data()
)
def test_a_name_made_from_a_glob_is_matched_by_it(glob: list[str], data: st.DataObject) -> None:
    name = []
    for part in glob:
        if part == "**":
            name += data.draw(st.lists(st.sampled_from(["a", "b", "c"]), max_size=3))
        else:
            name.append(part.replace("*", data.draw(st.sampled_from(["", "x", "yz"])) or "x"))
    if name:
        assert matches_repo("/".join(glob), "/".join(name))


def test_a_hostile_glob_costs_no_more_than_its_length() -> None:
    assert not matches_repo("/".join(["**", "*a*a*a*a*b"] * 60), "/".join(["a" * 100] * 2))
    assert not matches_repo("*a" * 100 + "b", "a" * 255)


@pytest.mark.parametrize(
    ("glob", "tag", "is_match"),
    [
        ("*", "v1", True),
        ("v*", "v1.2.3", True),
        ("v*", "v", True),
        ("v*", "rev1", False),
        ("*-rc*", "v1-rc2", True),
        ("*.*.*", "1.2.3", True),
        ("*.*.*", "1.2", False),
        ("v1", "v1", True),
        ("v1", "v10", False),
        ("V*", "v1", False),
        ("a.c", "abc", False),
    ],
)
def test_globs_of_tags(glob: str, tag: str, *, is_match: bool) -> None:
    assert matches_text(glob, tag) is is_match
