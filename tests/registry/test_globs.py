# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import re
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

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


PARTS = st.text("ab*", min_size=1, max_size=5).filter(lambda part: "**" not in part)


@given(
    st.lists(PARTS | st.just("**"), min_size=1, max_size=5),
    st.lists(st.text("ab", min_size=1, max_size=5), min_size=1, max_size=5),
)
def test_globs_match_what_the_same_regular_expression_matches(
    glob: list[str], name: list[str]
) -> None:
    reference = "".join(
        "([^/]+/)*" if part == "**" else re.escape(part).replace(r"\*", "[^/]*") + "/"
        for part in glob
    )
    is_match = re.fullmatch(reference, "/".join(name) + "/") is not None
    assert matches_repo("/".join(glob), "/".join(name)) is is_match


@given(st.text("ab*", min_size=1, max_size=8), st.text("ab", max_size=8))
def test_globs_of_tags_match_what_the_same_regular_expression_matches(glob: str, tag: str) -> None:
    reference = re.escape(glob).replace(r"\*", ".*")
    assert matches_text(glob, tag) is (re.fullmatch(reference, tag) is not None)


def steps(glob: str, name: str) -> int:
    """Lines of Python that a match takes, as long as it looks."""
    counted = 0

    def count(_frame: FrameType, event: str, _argument: object) -> Any:
        nonlocal counted
        counted += event == "line"
        return count

    before = sys.gettrace()
    sys.settrace(count)
    try:
        assert not matches_repo(glob, name)
    finally:
        sys.settrace(before)
    return counted


HOSTILE = [
    lambda size: ("*a" * size + "*b*", "a" * 255),
    lambda size: ("*a" * 200 + "*b*", "a" * 5 * size),
    lambda size: ("/".join(["**", "*a*a*b"] * size), "a/a/a/a"),
    lambda size: ("a/**/*a*a*b", "/".join(["aa"] * size)),
    lambda size: ("/".join(["**"] * size + ["b"]), "a/a/a/a"),
]


@pytest.mark.parametrize("hostile", HOSTILE)
def test_a_hostile_glob_takes_steps_in_proportion(
    hostile: Callable[[int], tuple[str, str]],
) -> None:
    """Twice the length takes at most twice the steps, for pattern and name alike."""
    few, many = steps(*hostile(20)), steps(*hostile(40))
    assert few > 20
    assert many <= 2.2 * few


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
