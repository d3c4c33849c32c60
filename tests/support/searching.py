# SPDX-License-Identifier: Apache-2.0
"""How long to search: once through (a short search), or for `CAIS_FUZZ_MINUTES` in all."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Protocol

import pytest

MINUTES = float(os.environ.get("CAIS_FUZZ_MINUTES", "0"))
_PARSER = 1 / 22  # of the time: two at once, they take a quarter of it


class Search(Protocol):
    """Runs a property again and again, each time with other examples, until time is over."""

    def __call__(self, prove: Callable[[], None], *, share: float = ...) -> None:
        """Search with so much of the time."""


@pytest.fixture
def search(record_property: Callable[[str, object], None]) -> Search:
    def run(prove: Callable[[], None], *, share: float = _PARSER) -> None:
        end, rounds = time.monotonic() + 60 * MINUTES * share, 0
        while rounds == 0 or time.monotonic() < end:
            prove()
            rounds += 1
        record_property("rounds", rounds)

    return run


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if MINUTES:
            item.add_marker(pytest.mark.timeout(60 * MINUTES + 600))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how much was tried, after a long search."""
    for report in terminalreporter.getreports("passed") if MINUTES else ():
        told = ", ".join(f"{number} {name}" for name, number in report.user_properties)
        terminalreporter.write_line(f"{report.nodeid}: {told}")
