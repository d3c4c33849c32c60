# SPDX-License-Identifier: Apache-2.0
"""Does the owner of a Registry allow what a RegistryAccess asks? Pure.

A Registry that a namespace may not use looks like one that is not there: the same reason, the same
words. Only a namespace that the owner has selected is told what is allowed to it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from cais_operator import names
from cais_operator.consumers.containment import Prover
from cais_operator.consumers.selectors import NAME_LABEL, keys, selects
from cais_operator.errors import Problem
from cais_operator.resource import Consumer, Key, Registry, RegistryAccess, Rotation

_WITH = {"create": "push"}  # who may overwrite may do without
_MOST_SHOWN = 4  # allowances in a message
_SHOWN = 60  # characters of each
_MOST_PROBLEMS = 2  # the same: a condition has an end


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """One rule of the server's: exactly what was asked.

    Attributes:
        user: Name of the account.
        uid: Of the RegistryAccess.
        generation: Of its spec.
        repositories: Patterns.
        actions: What is allowed there.
        rotation: Of the account's password.
    """

    user: str
    uid: str
    generation: int
    repositories: tuple[str, ...]
    actions: tuple[str, ...]
    rotation: Rotation


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why there is no access.

    Attributes:
        reason: Machine word.
        message: For both sides: what is missing, and who can do what about it.
        waits: Whether it may come by itself, when the Registry does or its owner allows it; else
            somebody has to change what is asked.
    """

    reason: str
    message: str
    waits: bool = False


def judge(
    access: RegistryAccess, registry: Registry | None, labels: Mapping[str, str] | None
) -> Grant | Refusal:
    """Return what the server is to be told, or why nothing.

    Args:
        access: What is asked.
        registry: The Registry it names; None when there is none, or none that can be read.
        labels: Of the namespace that asks. None while they are not known: then nothing is taken for
            true of them, also not that one is missing, and only its name counts.
    """
    consumers = () if registry is None or registry.deleting else registry.spec.consumers
    if labels is None:
        labels = {NAME_LABEL: access.namespace}
        consumers = tuple(one for one in consumers if keys(one.namespace_selector) <= {NAME_LABEL})
    allowed = tuple(one for one in consumers if selects(one.namespace_selector, labels))
    if not allowed:
        return _unavailable(access.registry)
    problems = tuple(_problems(access, allowed))
    if problems:
        return Refusal(reason="NotAllowed", message=_words(problems, allowed))
    return Grant(
        user=names.account(access),
        uid=access.uid,
        generation=access.generation,
        repositories=access.spec.repositories,
        actions=access.spec.actions,
        rotation=access.spec.rotation,
    )


def _unavailable(registry: Key) -> Refusal:
    message = (
        f"there is no Registry {registry.namespace}/{registry.name} that this namespace may use: "
        "correct spec.registryRef, or ask its owner to allow this namespace in spec.consumers"
    )
    return Refusal(reason="RegistryUnavailable", message=message, waits=True)


def _problems(access: RegistryAccess, allowed: tuple[Consumer, ...]) -> Iterator[Problem]:
    prover = Prover()
    for at, repository in enumerate(access.spec.repositories):
        refused = [
            action
            for action in access.spec.actions
            if not _is_inside(repository, action, allowed, prover)
        ]
        if refused:
            rule = (
                f"the owner of Registry {'/'.join(access.registry)} does not allow this namespace "
                f"to {' and '.join(refused)} there"
            )
            yield Problem(field=f"spec.repositories[{at}]", value=repository, rule=rule)


def _words(problems: Sequence[Problem], allowed: tuple[Consumer, ...]) -> str:
    words = "; ".join(map(str, problems[:_MOST_PROBLEMS]))
    left_out = len(problems) - _MOST_PROBLEMS
    more = f"; and {left_out} more are not allowed" if left_out > 0 else ""
    return f"{words}{more}; allowed is: {_shown(allowed)}"


def _is_inside(repository: str, action: str, allowed: tuple[Consumer, ...], prover: Prover) -> bool:
    return any(
        prover.covers(outer, repository)
        for one in allowed
        if action in one.actions or _WITH.get(action) in one.actions
        for outer in one.repositories
    )


def _shown(allowed: tuple[Consumer, ...]) -> str:
    parts = [f"{', '.join(one.actions)} in {' and '.join(one.repositories)}" for one in allowed]
    parts = [one if len(one) <= _SHOWN else f"{one[:_SHOWN]}..." for one in parts]
    more = "; and more" if len(parts) > _MOST_SHOWN else ""
    return "; ".join(parts[:_MOST_SHOWN]) + more
