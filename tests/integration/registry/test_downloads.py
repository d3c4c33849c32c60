# SPDX-License-Identifier: Apache-2.0
"""Many downloads at once."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from support.registry import Server, make_certificate, running

MIB = 1 << 20
TIMES = 150


def faults(server: Server) -> int:
    """Pages that its worker was given by the kernel so far (proc(5), `minflt`)."""
    (worker,) = server.workers
    text = Path(f"/proc/{worker}/stat").read_text()
    return int(text.rpartition(")")[2].split()[7])


def download(server: Server, path: str, folder: Path) -> None:
    wanted = [
        f'url = "{server.url}{path}"\noutput = "{folder / "got"}-{n}"\n' for n in range(TIMES)
    ]
    command = ["curl", "-sfk", "--parallel", "--parallel-max", "16", "--config", "-"]
    subprocess.run(command, input="".join(wanted).encode(), check=True, timeout=60)


def test_pieces_of_downloads_are_read_into_memory_that_was_used_before(tmp_path: Path) -> None:
    certificate, key = make_certificate(tmp_path)
    content = os.urandom(MIB)
    with running(tmp_path, "--tls-cert", certificate, "--tls-key", key) as server:
        path = f"/v2/a/blobs/{server.push_blob('a', content)}"
        download(server, path, tmp_path)  # memory is taken once
        before = faults(server)
        download(server, path, tmp_path)
        assert (faults(server) - before) / TIMES < 10  # of 256, which a MiB has
    assert all((tmp_path / f"got-{number}").read_bytes() == content for number in range(TIMES))
