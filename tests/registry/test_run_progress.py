# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import io
from typing import Any

from cais_registry.cli.run_progress import Progress

RUN: dict[str, Any] = {"manifestsDeleted": 2, "blobsDeleted": 3, "bytesReclaimed": 2048}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_log_gets_a_line_every_ten_seconds() -> None:
    now, out = [0.0], io.StringIO()
    progress = Progress(out, lambda: now[0])
    for second in range(25):
        now[0] = float(second)
        progress.show({**RUN, "durationSeconds": second})
    progress.end()
    assert out.getvalue().splitlines() == [
        f"collecting garbage for {second} s: 2 manifests and 3 blobs so far, 2.0 KiB"
        for second in (10, 20)
    ]


def test_a_terminal_has_one_line_that_changes() -> None:
    out = Terminal()
    progress = Progress(out)
    for second in (0, 1):
        progress.show({**RUN, "durationSeconds": second})
    progress.end()
    assert out.getvalue().count("\r") == 2
    assert out.getvalue().count("\n") == 1
