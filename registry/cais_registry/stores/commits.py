# SPDX-License-Identifier: Apache-2.0
"""Tells whether anything was committed, without asking the database (docs/adr/0009)."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

_BEGUN: Final = 0
_ENDED: Final = 1


class Commits:
    """Two numbers in memory that the processes forked after this was made share.

    Each commit raises the first before it is made and copies it to the second afterwards. Commits
    come one after another, as each is made under the database's own lock. So while the first is
    what it was, nothing was committed since, if the second was equal to it then. A process that is
    killed in between leaves them unequal: until the next commit nothing is known, and never
    anything wrong.
    """

    def __init__(self) -> None:
        # eight bytes that are aligned are read and written as one
        self._numbers = memoryview(mmap.mmap(-1, mmap.PAGESIZE)).cast("Q")

    @contextmanager
    def one(self) -> Iterator[None]:
        """Around one commit, of a transaction that keeps all others from writing."""
        number = self._numbers[_BEGUN] + 1
        self._numbers[_BEGUN] = number
        yield
        if self._numbers[_BEGUN] == number:
            self._numbers[_ENDED] = number

    def begun(self) -> int:
        """How many commits were begun; after every commit it is another number."""
        return self._numbers[_BEGUN]

    def is_ended(self, number: int) -> bool:
        """Whether the commit of this number, and all before it, have been made or were given up."""
        return self._numbers[_ENDED] == number


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """That the processes of one parent have a data folder to themselves: nobody else writes to it.

    Attributes:
        name: Which no other hold has had.
        commits: To the folder's database.
    """

    name: str
    commits: Commits = field(default_factory=Commits)
