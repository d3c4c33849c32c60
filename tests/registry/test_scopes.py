# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cais_registry.config.document import Access, Rule
from cais_registry.model.globs import matches_repo
from cais_registry.model.names import RepoName
from cais_registry.services.access import OPEN, Action, compile_rules
from cais_registry.services.scopes import EVERYTHING, NameRange, outermost, ranges_of

GLOBS = st.lists(
    st.sampled_from(["a", "ab", "a-b", "*", "a*", "*b", "a*b", "**"]), min_size=1, max_size=4
).map("/".join)
NAMES = st.lists(st.sampled_from(["a", "ab", "a-b", "a.b", "b", "aab"]), min_size=1, max_size=4)


@pytest.mark.parametrize(
    ("glob", "ranges"),
    [
        ("**", [("", "~", True)]),
        ("**/**", [("", "~", True)]),
        ("*/**", [("", "~", True)]),
        ("apps/web", [("apps/web", "apps/web!", True)]),
        ("apps/**", [("apps", "apps!", True), ("apps/", "apps/~", True)]),
        ("apps/*", [("apps/", "apps/~", False)]),
        ("apps/team-*/**", [("apps/team-", "apps/team-~", True)]),
        ("apps/team-*/x", [("apps/team-", "apps/team-~", False)]),
        ("apps/**/x", [("apps/", "apps/~", False)]),
        ("*/x", [("", "~", False)]),
        ("**/x", [("", "~", False)]),
    ],
)
def test_a_glob_becomes_ranges_of_names_by_its_literal_beginning(
    glob: str, ranges: list[tuple[str, str, bool]]
) -> None:
    found = ranges_of(glob.split("/"))
    assert [(part.low, part.high, part.is_whole) for part in found] == ranges


def holds(part: NameRange, name: str) -> bool:
    return part.low <= name < part.high


@given(GLOBS, NAMES)
def test_ranges_hold_all_that_a_glob_matches_and_whole_ones_nothing_else(
    glob: str, segments: list[str]
) -> None:
    name = "/".join(segments)
    found = [part for part in ranges_of(glob.split("/")) if holds(part, name)]
    assert found or not matches_repo(glob, name)
    assert matches_repo(glob, name) or not any(part.is_whole for part in found)


@given(st.lists(GLOBS, max_size=5), NAMES)
def test_a_users_ranges_are_in_order_apart_and_lose_nothing(
    globs: list[str], segments: list[str]
) -> None:
    name = "/".join(segments)
    rule = Rule(users=("ci",), repositories=tuple(globs), actions=("pull",))
    scope = compile_rules(Access(rules=(rule,))).scope("ci", Action.PULL)
    for before, after in zip(scope.ranges, scope.ranges[1:], strict=False):
        assert before.high <= after.low
    shown = any(
        holds(part, name) and (part.is_whole or scope.allows(RepoName(name)))
        for part in scope.ranges
    )
    assert shown is any(matches_repo(glob, name) for glob in globs)


def test_of_two_ranges_with_the_same_ends_the_whole_one_stays() -> None:
    ranges = [NameRange(low="a/", high="a/~", is_whole=whole) for whole in (False, True, False)]
    assert outermost(ranges) == (ranges[1],)


def test_whoever_may_pull_everywhere_sees_everything_and_others_nothing() -> None:
    anonymous = compile_rules(Access(anonymous=("pull",)))
    assert OPEN.scope(None, Action.PULL).ranges == EVERYTHING
    assert anonymous.scope(None, Action.PULL).ranges == EVERYTHING
    assert anonymous.scope("ci", Action.PUSH).ranges == ()
    assert compile_rules(Access()).scope(None, Action.PULL).ranges == ()


def test_asking_about_many_names_does_not_push_out_what_is_remembered() -> None:
    rule = Rule(users=("ci",), repositories=("*/x",), actions=("pull",))
    rules = compile_rules(Access(rules=(rule,)))
    assert rules.allows("ci", Action.PULL, RepoName("a/x"))
    scope = rules.scope("ci", Action.PULL)
    assert not any(scope.allows(RepoName(f"a/{n}")) for n in range(5000))
    assert list(rules.decided) == [("ci", Action.PULL, "a/x")]
