# SPDX-License-Identifier: Apache-2.0
"""Where in the order of names a user's repositories are, so that a listing looks nowhere else."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Final

from cais_registry.model.names import RepoName

BEFORE: Final = "!"
AFTER: Final = "~"
"""Sort before and after everything that names are made of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NameRange:
    """The names from `low` on that come before `high`, in ASCII order.

    Attributes:
        low: Where it begins.
        high: Where it has ended.
        is_whole: Whether all names in it are meant; if not, each is to be asked about.
    """

    low: str
    high: str
    is_whole: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """The repositories that a listing may show.

    Attributes:
        ranges: They lie in these, which are in order and do not overlap.
        allows: Whether a name that lies in a range which is not whole may be shown.
    """

    ranges: tuple[NameRange, ...]
    allows: Callable[[RepoName], bool]


def below(prefix: str, *, is_whole: bool) -> NameRange:
    """The names that begin with a text; all names for an empty one."""
    return NameRange(low=prefix, high=prefix + AFTER, is_whole=is_whole)


EVERYTHING: Final = (below("", is_whole=True),)


def ranges_of(glob: Sequence[str]) -> tuple[NameRange, ...]:
    """Ranges that hold every name that a glob matches, found by its literal beginning.

    Args:
        glob: Its segments; see `cais_registry.model.globs.matches_repo`.
    """
    literal = tuple(takewhile(lambda part: "*" not in part, glob))
    rest = glob[len(literal) :]
    name = "/".join(literal)
    if not rest:
        return (_only(name),)
    inside = name and name + "/"
    if all(part == "**" for part in rest):
        return (*([_only(name)] if name else []), below(inside, is_whole=True))
    head, _, tail = rest[0].partition("*")
    is_whole = not tail and tuple(rest[1:]) == ("**",)
    return (below(inside + head, is_whole=is_whole),)


def _only(name: str) -> NameRange:
    return NameRange(low=name, high=name + BEFORE, is_whole=True)


def outermost(ranges: Iterable[NameRange]) -> tuple[NameRange, ...]:
    """Drop what lies in another range; two that `ranges_of` makes never overlap otherwise."""
    found = sorted(ranges, key=lambda part: part.is_whole, reverse=True)
    found.sort(key=lambda part: part.high, reverse=True)
    found.sort(key=lambda part: part.low)  # of those that begin together, the widest first
    kept: list[NameRange] = []
    for part in found:
        if not kept or part.low >= kept[-1].high:
            kept.append(part)
    return tuple(kept)
