# SPDX-License-Identifier: Apache-2.0
"""Who may do what in which repository: deny by default, then the union of matching rules."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from cais_registry.config.document import Access
from cais_registry.model.globs import matches_path, matches_text
from cais_registry.model.names import RepoName
from cais_registry.services.scopes import EVERYTHING, NameRange, Scope, outermost, ranges_of

_MOST_DECIDED: Final = 4096
_MOST_SCOPES: Final = 256
ANYONE_LOGGED_IN: Final = "*"


class Action(StrEnum):
    """What can be allowed.

    `ADMIN` is the whole admin API, and gives `GC` and `USAGE` with it. `CREATE` is `PUSH` without
    changing what a tag or a digest stands for already.
    """

    PULL = "pull"
    CREATE = "create"
    PUSH = "push"
    DELETE = "delete"
    ADMIN = "admin"
    GC = "gc"
    USAGE = "usage"


IMPLIED: Final = {
    Action.ADMIN: frozenset({Action.GC, Action.USAGE}),
    Action.PUSH: frozenset({Action.CREATE}),
}
"""What comes with an action."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rule:
    users: frozenset[str]
    identities: tuple[str, ...]
    globs: tuple[tuple[str, ...], ...]
    actions: frozenset[Action]

    def names(self, user: str) -> bool:
        """Whom tokens speak of has a `:` in the name, and users of the htpasswd file do not.

        `*` is not for the former: anyone may get a token of a public issuer.
        """
        if ":" in user:
            return any(matches_text(name, user) for name in self.identities)
        return user in self.users or ANYONE_LOGGED_IN in self.users


@dataclass(frozen=True, slots=True, kw_only=True)
class Permissions:
    """Compiled rules; ask `allows`.

    Attributes:
        is_open: True when there are no users at all: everyone may do everything.
        anonymous: What may be done in any repository without logging in.
        rules: The rest.
        decided: What `allows` has answered: the rules of one object never change.
        ranges: Where users may do something, as `scope` has worked out.
    """

    is_open: bool
    anonymous: frozenset[Action] = frozenset()
    rules: tuple[_Rule, ...] = ()
    decided: dict[tuple[str, Action, str | None], bool] = field(
        default_factory=dict, repr=False, compare=False
    )
    ranges: dict[tuple[str, Action], tuple[NameRange, ...]] = field(
        default_factory=dict, repr=False, compare=False
    )

    def allows(self, user: str | None, action: Action, repo: RepoName | None = None) -> bool:
        """Tell whether a user may do something.

        Args:
            user: A name that has been verified, None for someone anonymous.
            action: What is asked for.
            repo: Where; None for what concerns no repository (the admin API).
        """
        if self.is_open or action in self.anonymous:
            return True
        if user is None:
            return False
        question = (user, action, None if repo is None else repo.value)
        answer = self.decided.get(question)
        if answer is None:
            if len(self.decided) >= _MOST_DECIDED:
                self.decided.clear()
            answer = self.decided[question] = self._decide(user, action, repo)
        return answer

    def scope(self, user: str | None, action: Action) -> Scope:
        """The repositories in which a user may do something.

        Asking it about many names does not push out what `allows` remembers.

        Args:
            user: A name that has been verified, None for someone anonymous.
            action: What is asked for.
        """
        if self.is_open or action in self.anonymous:
            return Scope(ranges=EVERYTHING, allows=lambda _: True)
        if user is None:
            return Scope(ranges=(), allows=lambda _: False)
        if (user, action) not in self.ranges:
            if len(self.ranges) >= _MOST_SCOPES:
                self.ranges.clear()
            self.ranges[user, action] = self._ranges(user, action)
        ranges = self.ranges[user, action]
        return Scope(ranges=ranges, allows=lambda repo: self._decide(user, action, repo))

    def _ranges(self, user: str, action: Action) -> tuple[NameRange, ...]:
        rules = (rule for rule in self.rules if action in rule.actions and rule.names(user))
        globs = (glob for rule in rules for glob in rule.globs)
        return outermost(part for glob in globs for part in ranges_of(glob))

    def _decide(self, user: str, action: Action, repo: RepoName | None) -> bool:
        return any(
            action in rule.actions and rule.names(user) and _covers(rule, repo)
            for rule in self.rules
        )


OPEN: Final = Permissions(is_open=True)


def compile_rules(access: Access) -> Permissions:
    """Prepare the rules of a configuration for asking."""
    return Permissions(
        is_open=False,
        anonymous=frozenset(Action(action) for action in access.anonymous),
        rules=tuple(
            _Rule(
                users=frozenset(rule.users),
                identities=rule.identities,
                globs=tuple(tuple(glob.split("/")) for glob in rule.repositories),
                actions=_expand(frozenset(Action(action) for action in rule.actions)),
            )
            for rule in access.rules
        ),
    )


def _expand(actions: frozenset[Action]) -> frozenset[Action]:
    return actions.union(*(IMPLIED.get(action, frozenset()) for action in actions))


def _covers(rule: _Rule, repo: RepoName | None) -> bool:
    if repo is None:
        return True
    segments = repo.value.split("/")
    return any(matches_path(glob, segments) for glob in rule.globs)
