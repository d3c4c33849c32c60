# SPDX-License-Identifier: Apache-2.0
"""The sequences of `tests/fuzz` with the metadata in a real PostgreSQL."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, example, given, settings

from support.fuzz_play import play
from support.fuzz_requests import SEQUENCES, image, push_blob, push_manifest
from support.in_process import Sent
from support.searching import Search

NULS = [
    push_blob("a", b"{}"),
    push_manifest("a", "v1", image(artifactType="\0")),
    push_manifest("a", "v1", image(annotations={"\0": "\0"})),
    *(
        Sent(method="GET", target=f"/v2/{path}=%00")
        for path in (
            "_catalog?last",
            "a/tags/list?last",
            f"a/referrers/sha256:{'a' * 64}?artifactType",
            f"a/referrers/sha256:{'a' * 64}?last",
        )
    ),
]


def test_no_sequence_of_requests_is_a_fault_over_postgresql(dsn: str, search: Search) -> None:
    @settings(max_examples=20, suppress_health_check=[HealthCheck.too_slow], deadline=None)
    @given(SEQUENCES)
    @example(NULS)
    def prove(sequence: list[Sent]) -> None:
        with tempfile.TemporaryDirectory() as folder, asyncio.Runner() as runner:
            runner.run(play("open", Path(folder), sequence, database_url=dsn))

    search(prove, share=0.5)
