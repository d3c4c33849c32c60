# SPDX-License-Identifier: Apache-2.0
"""Something that was found: what it is, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

LEVELS: Final = ("problem", "warning", "note", "ok")


@dataclass(frozen=True, slots=True)
class Finding:
    """One of them.

    Attributes:
        level: One of `LEVELS`: it does not work; it will not for long, or not all of it; something
            to know; looked at and found good.
        what: What was found.
        todo: What to do; empty for nothing.
    """

    level: str
    what: str
    todo: str = ""

    @classmethod
    def problem(cls, what: str, todo: str) -> Finding:
        """Make one of something that does not work."""
        return cls("problem", what, todo)

    @classmethod
    def warning(cls, what: str, todo: str) -> Finding:
        """Make one of something that works only in part, or not for long."""
        return cls("warning", what, todo)

    @classmethod
    def note(cls, what: str, todo: str) -> Finding:
        """Make one of something to know."""
        return cls("note", what, todo)

    @property
    def rank(self) -> int:
        """Worse is less."""
        return LEVELS.index(self.level)

    def as_object(self) -> dict[str, str]:
        """Return it for programs."""
        return {
            "level": self.level,
            "what": self.what,
            **({"todo": self.todo} if self.todo else {}),
        }


def lines(found: list[Finding]) -> list[str]:
    """Return them for people: one line each, and what to do below it."""
    told = []
    for one in found:
        told.append(f"{one.level.upper():8}{one.what}")
        if one.todo:
            told.append(f"{'':8}-> {one.todo}")
    return told


def is_bad(found: list[Finding]) -> bool:
    """Whether any of them is a problem."""
    return any(one.level == "problem" for one in found)
