# SPDX-License-Identifier: Apache-2.0
"""Any sequence of requests, however wrong, to the real application over real services.

Nothing is ever a fault of the server, every refusal has the OCI error body, HEAD says what GET
says, and what was acknowledged is there.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import pytest
from hypothesis import given, settings

from support.fuzz_play import play
from support.fuzz_requests import SEQUENCES
from support.in_process import Sent


class Search(Protocol):
    def __call__(self, prove: Callable[[], None], *, share: float) -> None: ...


@pytest.mark.parametrize("name", ["open", "with users"])
def test_no_sequence_of_requests_is_a_fault_of_the_server(
    name: str, search: Search, record_property: Callable[[str, object], None]
) -> None:
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - a number
    requests = 0

    @settings(max_examples=40)
    @given(SEQUENCES)
    def prove(sequence: list[Sent]) -> None:
        nonlocal requests
        with tempfile.TemporaryDirectory() as folder, asyncio.Runner() as runner:
            requests += runner.run(play(name, Path(folder), sequence))
        assert len(os.listdir("/proc/self/fd")) <= before + 2  # noqa: PTH208 - a number

    search(prove, share=0.75)
    record_property("requests", requests)
