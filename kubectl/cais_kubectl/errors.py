# SPDX-License-Identifier: Apache-2.0
"""How a command ends when it does not end well, and the exit codes."""

from __future__ import annotations

from typing import Final

OK: Final = 0
"""Done, and nothing is wrong."""
WRONG: Final = 1
"""Asked and answered, and the answer is that something is wrong."""
USAGE: Final = 2
"""The command line is wrong; nobody was asked anything."""
UNANSWERED: Final = 3
"""The cluster or the registry could not be asked, or refused to answer."""
INTERRUPTED: Final = 130
"""Ctrl-C."""


class Failure(Exception):  # noqa: N818 - it reads as what happened
    """The command ends; the message says what happened, to what, and what to do.

    Attributes:
        code: Exit code.
    """

    def __init__(self, message: str, code: int = UNANSWERED) -> None:
        super().__init__(message)
        self.code = code


class NotFound(Failure):
    """The API server knows no such object, or no such kind."""


class Forbidden(Failure):
    """The API server knows who asks, and says no."""
