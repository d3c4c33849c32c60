# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from cais_registry.config.document import Access, Rule
from cais_registry.model.names import RepoName
from cais_registry.services.access import OPEN, Action, compile_rules

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


def test_to_push_is_to_create_and_not_the_other_way_round() -> None:
    rules = (
        Rule(users=("ci",), repositories=("**",), actions=("push",)),
        Rule(users=("builds",), repositories=("**",), actions=("create",)),
    )
    permissions, repo = compile_rules(Access(rules=rules)), RepoName.parse("a")
    assert permissions.allows("ci", Action.CREATE, repo)
    assert permissions.allows("builds", Action.CREATE, repo)
    for action in (Action.PUSH, Action.PULL, Action.DELETE):
        assert not permissions.allows("builds", action, repo)


@pytest.mark.parametrize("action", list(Action))
def test_without_rules_nobody_may_do_anything(action: Action) -> None:
    nothing = compile_rules(Access())
    assert not nothing.allows("admin", action, RepoName.parse("a"))
    assert not nothing.allows(None, action)


@pytest.mark.parametrize("action", list(Action))
def test_an_open_registry_lets_everyone_do_everything(action: Action) -> None:
    assert OPEN.allows(None, action, RepoName.parse("a"))
