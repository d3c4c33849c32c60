# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cais_registry.config.document import Access, Rule
from cais_registry.model.names import RepoName
from cais_registry.services.access import OPEN, Action, compile_rules, matches


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
    assert matches(glob, name) is is_match


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
        assert matches("/".join(glob), "/".join(name))


def test_a_hostile_glob_costs_no_more_than_its_length() -> None:
    assert not matches("/".join(["**", "*a*a*a*a*b"] * 60), "/".join(["a" * 100] * 2))
    assert not matches("*a" * 100 + "b", "a" * 255)


RULES = Access(
    anonymous=("pull",),
    rules=(
        Rule(users=("ci",), repositories=("apps/**",), actions=("push",)),
        Rule(users=("ci", "bob"), repositories=("lib/*",), actions=("pull", "delete")),
        Rule(users=("root",), repositories=("**",), actions=("admin",)),
        Rule(users=("cais-gc",), repositories=(), actions=("gc", "usage")),
        Rule(users=("*",), repositories=("shared",), actions=("push",)),
    ),
)


@pytest.mark.parametrize(
    ("user", "action", "repo", "is_allowed"),
    [
        (None, Action.PULL, "anything", True),
        (None, Action.PUSH, "shared", False),
        (None, Action.USAGE, None, False),
        ("ci", Action.PUSH, "apps/x", True),
        ("ci", Action.PUSH, "lib/x", False),
        ("ci", Action.DELETE, "lib/x", True),
        ("bob", Action.DELETE, "lib/x/y", False),
        ("bob", Action.PUSH, "shared", True),
        ("nobody", Action.PUSH, "shared", True),
        ("root", Action.GC, None, True),
        ("root", Action.USAGE, None, True),
        ("root", Action.PUSH, "apps/x", False),
        ("cais-gc", Action.GC, None, True),
        ("cais-gc", Action.ADMIN, None, False),
        ("cais-gc", Action.PUSH, "apps/x", False),
        ("ci", Action.GC, None, False),
    ],
)
def test_only_what_a_rule_says_is_allowed(
    user: str | None, action: Action, repo: str | None, *, is_allowed: bool
) -> None:
    name = None if repo is None else RepoName.parse(repo)
    assert compile_rules(RULES).allows(user, action, name) is is_allowed


@pytest.mark.parametrize("action", list(Action))
def test_without_rules_nobody_may_do_anything(action: Action) -> None:
    nothing = compile_rules(Access())
    assert not nothing.allows("admin", action, RepoName.parse("a"))
    assert not nothing.allows(None, action)


@pytest.mark.parametrize("action", list(Action))
def test_an_open_registry_lets_everyone_do_everything(action: Action) -> None:
    assert OPEN.allows(None, action, RepoName.parse("a"))
