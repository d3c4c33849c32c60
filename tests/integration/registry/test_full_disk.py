# SPDX-License-Identifier: Apache-2.0
"""A disk that is really full: a small file system in memory, mounted for the test (needs root)."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from support.registry import Answer, Server, digest_of, running, wait_until

MIB = 1 << 20
LIMIT = 200  # pushes; the file system takes far fewer
SOON = {"garbageCollection": {"pushLease": "24h", "undeleteWindow": "0s"}}


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """Mount 48 MiB on a folder."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


def fill(server: Server, size: int) -> None:
    """Push layers of a size until the registry refuses one."""
    for _ in range(LIMIT):
        answer = push_layer(server, os.urandom(size))
        if answer.status != 201:
            assert answer.status == 507
            assert "full" in answer.json["errors"][0]["message"]
            return
    raise AssertionError("the disk is never full")


def push_layer(server: Server, content: bytes) -> Answer:
    path = f"/v2/app/blobs/uploads/?digest={digest_of(content)}"
    return server.ask("POST", path, body=content)


def test_a_full_disk_stops_pushes_and_nothing_else(tmp_path: Path) -> None:
    with small_disk(tmp_path / "data"), running(tmp_path, config=SOON) as server:
        server.push_image("app", "big", os.urandom(20 * MIB))
        server.push_image("app", "small")
        for size in (3 * MIB, MIB // 4, MIB // 32, 4096, 1):
            fill(server, size)
        assert server.ask("GET", "/readyz").status == 200
        assert len(server.ask("GET", "/v2/app/tags/list").json["tags"]) == 2
        assert server.ask("GET", "/v2/app/manifests/small").status == 200
        assert server.ask("DELETE", "/v2/app/manifests/big").status == 202
        started = server.ask("POST", "/cais/v1/gc", body=json.dumps({}).encode())
        assert started.status == 202

        def finished() -> Any:
            run = server.ask("GET", f"/cais/v1/gc/{started.json['id']}").json
            return run if run["state"] != "Running" else None

        run = wait_until(finished, what="garbage collection ends")
        assert run["state"] == "Succeeded", run
        assert run["bytesReclaimed"] >= 20 * MIB
        assert push_layer(server, os.urandom(3 * MIB)).status == 201


def test_a_full_disk_helps_itself_and_takes_the_oldest_deletion_first(tmp_path: Path) -> None:
    later = {"garbageCollection": {"pushLease": "24h", "undeleteWindow": "24h"}}
    with small_disk(tmp_path / "data"), running(tmp_path, config=later) as server:
        digests = [server.push_image("app", f"v{n}", os.urandom(MIB)) for n in range(30)]
        for digest in digests:
            assert server.ask("DELETE", f"/v2/app/manifests/{digest}").status == 202
        fill(server, 2 * MIB)
        wait_until(
            lambda: push_layer(server, os.urandom(2 * MIB)).status == 201,
            what="pushes are taken again",
        )
        left = server.ask("GET", "/cais/v1/deleted?repository=app").json["deleted"]
        kept = [digest for digest in digests if digest in {one["reference"] for one in left}]
        assert 0 < len(kept) < len(digests)
        assert kept == digests[-len(kept) :]
        assert server.ask("GET", "/cais/v1/usage").json["storagePressure"] is False
        said = [line.get("message", "").split(":")[0] for line in server.lines()]
        assert [text for text in said if text.startswith("the disk")] == [
            "the disk is getting full",
            "the disk is nearly full",
            "the disk has ample room again",
        ]
