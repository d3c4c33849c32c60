# SPDX-License-Identifier: Apache-2.0
"""Scopes of tokens: as they are asked for, as they are granted, as a token carries them.

The words are those of the Docker registry's token protocol, `repository:team/app:pull,push`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Final, Literal

import msgspec

from cais_registry.model.errors import NameInvalid
from cais_registry.model.names import RepoName
from cais_registry.services.access import Action

CATALOG: Final = "registry:catalog:*"
_EVERY: Final = "*"
_MEANS: Final[Mapping[str, frozenset[Action]]] = {
    "pull": frozenset({Action.PULL}),
    "push": frozenset({Action.PUSH, Action.CREATE}),
    "delete": frozenset({Action.DELETE}),
}
"""What may be done with a word of a scope, where the rules allow it."""

_SCOPE = re.compile(r"repository(?:\([a-z0-9]+\))?:(.+):([a-z,*]+)")


class Access(msgspec.Struct, frozen=True):
    """One entry of the `access` claim."""

    type: Literal["repository", "registry"]
    name: str
    actions: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.type}:{self.name}:{','.join(self.actions)}"


class Grant(msgspec.Struct, frozen=True):
    """What a token is good for, at most; the rules of the moment say what of it is allowed.

    Attributes:
        repositories: Actions by the name of the repository.
        catalog: Whether the catalog may be read.
    """

    repositories: Mapping[str, frozenset[Action]]
    catalog: bool

    def covers(self, action: Action, repo: RepoName | None) -> bool:
        """Tell whether a token is good for something; what concerns no repository never is."""
        return repo is not None and action in self.repositories.get(repo.value, ())


def narrow(
    scopes: Iterable[str], *, may: Callable[[Action, RepoName], bool], catalog: bool
) -> tuple[Access, ...]:
    """Keep of what is asked for what is allowed; the rest is left out without a word.

    Args:
        scopes: As clients write them; what cannot be read is left out, too.
        may: What the rules allow.
        catalog: Whether they allow the catalog.
    """
    wanted: dict[RepoName, set[str]] = {}
    for scope in scopes:
        found = _SCOPE.fullmatch(scope)
        repo = None if found is None else _repo(found[1])
        if found is not None and repo is not None:
            words = found[2].split(",")
            wanted.setdefault(repo, set()).update(_MEANS if _EVERY in words else words)
    granted = [_allowed(repo, words, may) for repo, words in wanted.items()]
    listing = [Access("registry", "catalog", (_EVERY,))] if catalog and CATALOG in scopes else []
    return (*(access for access in granted if access.actions), *listing)


def _repo(name: str) -> RepoName | None:
    try:
        return RepoName.parse(name)
    except NameInvalid:
        return None


def _allowed(repo: RepoName, words: set[str], may: Callable[[Action, RepoName], bool]) -> Access:
    return Access(
        "repository",
        repo.value,
        tuple(
            word
            for word, means in _MEANS.items()
            if word in words and any(may(action, repo) for action in means)
        ),
    )


def grant_of(claim: Iterable[Access]) -> Grant:
    """What the `access` claim of a token grants."""
    repositories = {
        access.name: frozenset[Action]().union(*(_MEANS.get(word, ()) for word in access.actions))
        for access in claim
        if access.type == "repository"
    }
    return Grant(repositories, any(str(access) == CATALOG for access in claim))
