# SPDX-License-Identifier: Apache-2.0
"""Clients push, retag and delete while the server is killed again and again.

What was acknowledged is written into a ledger, and looked for after each restart. The number of
kills is `CAIS_LEDGER_CYCLES`; `make ledger` sets hundreds.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from support.registry import OCI_IMAGE, Server, digest_of, is_alive, running, wait_until

CYCLES = int(os.environ.get("CAIS_LEDGER_CYCLES", "6"))
CLIENTS = 4
CONFIG = {"garbageCollection": {"pushLease": "24h", "undeleteWindow": "0s"}}


@dataclass
class Ledger:
    """What one client was told of its own repository.

    Attributes:
        repo: Nobody else writes there.
        blobs: Contents of acknowledged blobs, by digest.
        manifests: Digests that were acknowledged, and not deleted since.
        deleted: Digests whose deletion was acknowledged, and that were not pushed since.
        tag: What the tag may point to now: the last acknowledged state, and what was asked since.
    """

    repo: str
    blobs: dict[str, bytes] = field(default_factory=dict)
    manifests: set[str] = field(default_factory=set)
    deleted: set[str] = field(default_factory=set)
    tag: set[str | None] = field(default_factory=lambda: {None})
    acknowledged: int = 0


def client(server: Server, ledger: Ledger, chance: random.Random) -> None:
    """Push, retag and delete until the server is gone."""
    while True:
        try:
            chance.choice([push, push, push_in_chunks, delete, collect])(server, ledger, chance)
        except (OSError, http.client.HTTPException):
            return


def push(server: Server, ledger: Ledger, chance: random.Random) -> None:
    layer = chance.randbytes(chance.randint(1, 30_000))
    answer = server.ask(
        "POST", f"/v2/{ledger.repo}/blobs/uploads/?digest={digest_of(layer)}", layer
    )
    assert answer.status == 201, answer.body
    finish(server, ledger, layer)


def push_in_chunks(server: Server, ledger: Ledger, chance: random.Random) -> None:
    layer = chance.randbytes(chance.randint(2, 30_000))
    half = len(layer) // 2
    place = server.ask("POST", f"/v2/{ledger.repo}/blobs/uploads/")["Location"] or ""
    assert server.ask("PATCH", place, layer[:half]).status == 202
    answer = server.ask("PUT", f"{place}?digest={digest_of(layer)}", layer[half:])
    assert answer.status == 201, answer.body
    finish(server, ledger, layer)


def finish(server: Server, ledger: Ledger, layer: bytes) -> None:
    """A layer is there: push a manifest of it, and point the tag at that."""
    ledger.blobs[digest_of(layer)] = layer
    part = {"mediaType": "application/octet-stream", "digest": digest_of(layer), "size": len(layer)}
    manifest = {"schemaVersion": 2, "mediaType": OCI_IMAGE, "config": part, "layers": []}
    digest = digest_of(json.dumps(manifest).encode())
    ledger.tag.add(digest)
    server.push_manifest(ledger.repo, "latest", manifest)
    ledger.tag = {digest}
    ledger.manifests.add(digest)
    ledger.acknowledged += 1


def delete(server: Server, ledger: Ledger, chance: random.Random) -> None:
    if not ledger.manifests:
        return
    digest = chance.choice(sorted(ledger.manifests))
    ledger.manifests.discard(digest)  # from here on it may be gone
    if digest in ledger.tag:
        ledger.tag.add(None)
    path = f"/v2/{ledger.repo}/manifests/{digest}"
    blob = json.loads(server.ask("GET", path).body)["config"]["digest"]
    ledger.blobs.pop(blob, None)
    assert server.ask("DELETE", path).status == 202
    ledger.deleted.add(digest)
    if digest in ledger.tag:
        ledger.tag = {None}
    ledger.acknowledged += 1


def collect(server: Server, ledger: Ledger, chance: random.Random) -> None:
    del ledger, chance
    assert server.ask("POST", "/cais/v1/gc").status == 202


def verify(server: Server, ledger: Ledger) -> None:
    path = f"/v2/{ledger.repo}"
    for digest in ledger.manifests:
        answer = server.ask("GET", f"{path}/manifests/{digest}")
        assert (answer.status, digest_of(answer.body)) == (200, digest)
    for digest in ledger.deleted:
        assert server.ask("GET", f"{path}/manifests/{digest}").status == 404
    for digest, content in ledger.blobs.items():
        assert server.ask("GET", f"{path}/blobs/{digest}").body == content
    answer = server.ask("GET", f"{path}/manifests/latest")
    found = answer["Docker-Content-Digest"] if answer.status == 200 else None
    assert found in ledger.tag
    ledger.tag = {found}
    if found is not None:
        ledger.manifests.add(found)


def kill_all(server: Server) -> None:
    for pid in (server.process.pid, *server.workers):
        os.kill(pid, 9)


def kill_parent(server: Server) -> None:
    server.process.kill()


def kill_worker(server: Server) -> None:
    for pid in server.workers:
        os.kill(pid, 9)
    server.process.kill()


def crash(server: Server, ledgers: list[Ledger], kill: Callable[[Server], None], seed: int) -> None:
    """Let clients work, kill the server in the midst of it, wait until all have noticed."""
    chance = random.Random(seed)  # noqa: S311 - no secret
    enough = sum(ledger.acknowledged for ledger in ledgers) + chance.randint(1, 40)
    threads = [
        threading.Thread(target=client, args=(server, ledger, random.Random(f"{seed}{number}")))  # noqa: S311 - no secret
        for number, ledger in enumerate(ledgers)
    ]
    for thread in threads:
        thread.start()
    wait_until(lambda: sum(one.acknowledged for one in ledgers) >= enough, what="some pushes")
    workers = server.workers
    kill(server)
    server.process.wait()
    for thread in threads:
        thread.join()
    wait_until(lambda: not any(map(is_alive, workers)), what="no worker outlives its parent")


def fsck(data: Path) -> dict[str, int]:
    command = [sys.executable, "-m", "cais_registry", "fsck", "--digests", "-o", "json", "--data"]
    ended = subprocess.run([*command, data], capture_output=True, text=True, check=False)
    assert ended.returncode in (0, 1), ended.stderr
    found: dict[str, int] = json.loads(ended.stdout)["found"]
    return found


@pytest.mark.timeout(3600)
def test_nothing_acknowledged_is_lost_and_nothing_deleted_comes_back(tmp_path: Path) -> None:
    ledgers = [Ledger(f"client{number}") for number in range(CLIENTS)]
    kills = [kill_all, kill_parent, kill_worker]
    for cycle in range(CYCLES):
        with running(tmp_path, config=CONFIG) as server:
            for ledger in ledgers:
                verify(server, ledger)
            crash(server, ledgers, kills[cycle % len(kills)], seed=cycle)
        # bytes that nobody names any more may be left; nothing that is named may be wrong
        assert set(fsck(tmp_path / "data")) <= {"orphan", "copy-missing", "copy-damaged"}
    with running(tmp_path, config=CONFIG) as server:
        for ledger in ledgers:
            verify(server, ledger)
    assert sum(ledger.acknowledged for ledger in ledgers) > CYCLES
