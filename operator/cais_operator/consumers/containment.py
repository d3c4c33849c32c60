# SPDX-License-Identifier: Apache-2.0
"""Whether everything that one pattern of repositories covers is covered by another one. Pure.

A pattern is a regular language, and the question is whether one lies inside the other. It is
answered exactly, by walking both at once, unless that takes more steps than are left: then the
answer is no, because what is not proven is not allowed.

A name is read with a `/` after every segment, so that `apps/web` is `apps/web/`: `*` is then any
characters but `/`, and `**` any number of such runs with their `/`.
"""

from collections.abc import Iterable
from dataclasses import dataclass

_STAR, _TREE, _END = "*", "**", "/"
_OTHER = "?"  # stands for every character that neither pattern names; no pattern holds it
MOST_STEPS = 30_000  # under 100 ms for all questions about one RegistryAccess


class Prover:
    """Answers questions until its steps are used up.

    Attributes:
        left: Steps that may still be taken.
    """

    def __init__(self, steps: int = MOST_STEPS) -> None:
        self.left = steps

    def covers(self, outer: str, inner: str) -> bool:
        """Tell whether `outer` provably covers every repository that `inner` covers.

        Args:
            outer: A pattern as `resource.checks.REPOSITORY_GLOB` allows it.
            inner: The same.
        """
        if outer in (inner, _TREE):
            return True
        if self.left <= 0:  # not even read: a thousand pairs may be left
            return False
        allowed, asked = _parsed(outer), _parsed(inner)
        alphabet = {_END, _OTHER, *allowed.letters(), *asked.letters()}
        begin = allowed.start()
        waiting = [(state, begin) for state in asked.start()]
        seen = set(waiting)
        while waiting:
            state, around = waiting.pop()
            if not around or (asked.is_end(state) and not any(map(allowed.is_end, around))):
                return False
            for symbol in alphabet:
                self.left -= len(around)
                if self.left < 0:
                    return False
                there = allowed.pruned(allowed.step(around, symbol))
                pairs = {(one, there) for one in asked.step((state,), symbol)} - seen
                seen |= pairs
                waiting.extend(pairs)
        return True


@dataclass(frozen=True, slots=True)
class _Pattern:
    """An automaton over the tokens; a state is a position, or `~position` within a `**`."""

    tokens: tuple[str, ...]

    def letters(self) -> set[str]:
        return {token for token in self.tokens if len(token) == 1 and token != _STAR}

    def start(self) -> frozenset[int]:
        return frozenset(self._from(0))

    def is_end(self, state: int) -> bool:
        return state == len(self.tokens)

    def step(self, states: Iterable[int], symbol: str) -> frozenset[int]:
        return frozenset(after for state in states for after in self._after(state, symbol))

    def _after(self, state: int, symbol: str) -> Iterable[int]:
        at = state if state >= 0 else ~state
        token = self.tokens[at] if at < len(self.tokens) else ""
        if token == _TREE:
            return self._from(at) if symbol == _END else (~at,)
        if token == _STAR:
            return () if symbol == _END else self._from(at)
        return self._from(at + 1) if token == symbol else ()

    def _from(self, at: int) -> Iterable[int]:
        """Yield a position and those that are reached from it by reading nothing."""
        yield at
        while at < len(self.tokens) and self.tokens[at] in (_STAR, _TREE):
            at += 1
            yield at

    def pruned(self, states: frozenset[int]) -> frozenset[int]:
        """Leave out states whose words another one reads as well, so that few sets are met.

        A later `**` reads all that anything before it reads, and so does, within one segment, a
        later `*`.
        """
        where = {state: state if state >= 0 else ~state for state in states}
        wild = {at for at in where.values() if at < len(self.tokens)}
        tree = max((at for at in wild if self.tokens[at] == _TREE), default=-1)
        stars = {at for at in wild if self.tokens[at] == _STAR}
        return frozenset(
            state
            for state, at in where.items()
            if at >= tree and not any(self._is_within_one(at, star) for star in stars)
        )

    def _is_within_one(self, before: int, star: int) -> bool:
        return before < star and not {_END, _TREE} & set(self.tokens[before:star])


def _parsed(glob: str) -> _Pattern:
    tokens: list[str] = []
    for segment in glob.split("/"):
        tokens += [_TREE] if segment == _TREE else [*segment, _END]
    return _Pattern(tuple(tokens))
