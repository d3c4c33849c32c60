# SPDX-License-Identifier: Apache-2.0
"""Clients that push, retag and delete, and write down what was acknowledged.

What is in a ledger is looked for after the server was killed, or after the power was cut.
"""

from __future__ import annotations

import fcntl
import http.client
import json
import os
import random
import signal
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support.command import run_command
from support.registry import (
    DEADLINE,
    OCI_IMAGE,
    Answer,
    Server,
    digest_of,
    is_alive,
    running,
    wait_until,
)

CLIENTS = 4
ENOUGH = 25  # images of one client; the time of a cycle would grow with their number
REMEMBERED = 100
CONFIG = {"garbageCollection": {"pushLease": "24h", "undeleteWindow": "0s"}}
AT_ONCE = {"garbageCollection": {"pushLease": "0s", "undeleteWindow": "0s"}}
FAILPOINTS = (
    "U1",
    "U3.record",
    "U3.publish",
    "U4",
    "U4.done",
    "M1",
    "M1.done",
    "review manifest",
    "review member",
    "review bytes",
    "R1",
    "R2",
)
# after a power loss: a name that came back, of bytes that are a blob by now under another name
STRAY = {("orphan", "uploads")}
FAILING = ("-m", "support.failing_server")


@dataclass
class Ledger:
    """What one client was told of its own repository.

    Attributes:
        repo: Nobody else writes there.
        blobs: Contents of acknowledged blobs, by digest.
        manifests: Digests that were acknowledged, and not deleted since.
        deleted: Digests whose deletion was acknowledged last.
        doubtful: Digests whose deletion was asked for and not acknowledged.
        tag: What the tag may point to now: the last acknowledged state, and what was asked since.
    """

    repo: str
    blobs: dict[str, bytes] = field(default_factory=dict)
    manifests: set[str] = field(default_factory=set)
    deleted: deque[str] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    doubtful: set[str] = field(default_factory=set)
    tag: set[str | None] = field(default_factory=lambda: {None})
    acknowledged: int = 0


def new_ledgers() -> list[Ledger]:
    return [Ledger(f"client{number}") for number in range(CLIENTS)]


def client(server: Server, ledger: Ledger, chance: random.Random) -> None:
    """Push, retag and delete until the server is gone."""
    while True:
        often = push if len(ledger.manifests) < ENOUGH else delete
        try:
            chance.choice([push, push_in_chunks, often, delete, collect])(server, ledger, chance)
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
    ledger.doubtful.add(digest)
    if digest in ledger.tag:
        ledger.tag.add(None)
    path = f"/v2/{ledger.repo}/manifests/{digest}"
    blob = json.loads(server.ask("GET", path).body)["config"]["digest"]
    ledger.blobs.pop(blob, None)
    assert server.ask("DELETE", path).status == 202
    ledger.doubtful.discard(digest)
    ledger.deleted.append(digest)
    if digest in ledger.tag:
        ledger.tag = {None}
    ledger.acknowledged += 1


def collect(server: Server, ledger: Ledger, chance: random.Random) -> None:
    del ledger, chance
    assert server.ask("POST", "/cais/v1/gc").status == 202


def verify(server: Server, ledgers: Sequence[Ledger]) -> None:
    """Everything acknowledged is there, byte for byte, and nothing deleted is."""
    for ledger in ledgers:
        _verify(server, ledger)


def _verify(server: Server, ledger: Ledger) -> None:
    path = f"/v2/{ledger.repo}"
    for digest in ledger.manifests:
        answer = server.ask("GET", f"{path}/manifests/{digest}")
        assert (answer.status, digest_of(answer.body)) == (200, digest)
    for digest in ledger.deleted:
        assert server.ask("GET", f"{path}/manifests/{digest}").status == 404
    for digest, content in ledger.blobs.items():
        answer = server.ask("GET", f"{path}/blobs/{digest}")
        assert (answer.status, answer.body) == (200, content), digest
    answer = server.ask("GET", f"{path}/manifests/latest")
    found = answer["Docker-Content-Digest"] if answer.status == 200 else None
    assert found in ledger.tag
    ledger.tag = {found}
    if found is not None:
        ledger.manifests.add(found)


def kill_all(server: Server) -> None:
    for pid in (server.process.pid, *server.workers):
        os.kill(pid, signal.SIGKILL)


def kill_parent(server: Server) -> None:
    server.process.kill()


def kill_worker(server: Server) -> None:
    for pid in server.workers:
        os.kill(pid, signal.SIGKILL)
    server.process.kill()


def wait_for_failpoint(server: Server) -> None:
    server.process.wait(DEADLINE)


def crash(
    server: Server, ledgers: Sequence[Ledger], kill: Callable[[Server], None], seed: int
) -> None:
    """Let clients work, kill the server in the midst of it, wait until all have noticed."""
    chance = random.Random(seed)  # noqa: S311 - no secret
    enough = sum(ledger.acknowledged for ledger in ledgers) + chance.randint(1, 40)
    threads = [
        threading.Thread(target=client, args=(server, ledger, random.Random(f"{seed}{number}")))  # noqa: S311 - no secret
        for number, ledger in enumerate(ledgers)
    ]
    workers = server.workers
    for thread in threads:
        thread.start()

    def is_due() -> bool:
        is_enough = sum(one.acknowledged for one in ledgers) >= enough
        return is_enough or server.process.poll() is not None

    wait_until(is_due, what="some pushes")
    kill(server)
    assert server.process.wait(DEADLINE) == -signal.SIGKILL
    for thread in threads:
        thread.join()
    wait_until(lambda: not any(map(is_alive, workers)), what="no worker outlives its parent")
    wait_until(lambda: is_free(server.data), what="nor does what deletes files for it")


def is_free(data: Path) -> bool:
    """Whether no process has the lock of a data folder any more."""
    with (data / "lock").open() as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def fsck(data: Path, *options: str) -> set[tuple[str, str]]:
    """Check the data of a stopped server; returns what is found, as kinds and folders."""
    arguments = ("fsck", "--digests", "-o", "json", *options, "--data", str(data))
    code, out, err = run_command(*arguments)
    assert code in (0, 1), err
    report = json.loads(out)
    assert sum(report["found"].values()) == len(report["findings"])
    return {(one["kind"], one["where"].split("/")[0]) for one in report["findings"]}


def delete_everything(folder: Path, data: Path, ledgers: Sequence[Ledger]) -> None:
    """Verify a last time and delete all: then the server itself has left no file."""
    with closing(sqlite3.connect(data / "metadata.sqlite3")) as database:
        database.execute("UPDATE upload SET expires_at = 0")  # a day has passed for them
        database.commit()
    with running(folder, config=AT_ONCE, data=data) as server:
        verify(server, ledgers)
        for ledger in ledgers:
            for digest in ledger.manifests | ledger.doubtful:
                answer = server.ask("DELETE", f"/v2/{ledger.repo}/manifests/{digest}")
                assert answer.status in ((202,) if digest in ledger.manifests else (202, 404))
        _collect_all(server)


def check_nothing_left(data: Path) -> None:
    """Neither rows nor files say that there was anything."""
    assert fsck(data) == set()
    left = [path for name in ("uploads", "blobs", "manifests") for path in (data / name).rglob("*")]
    assert not [path for path in left if path.is_file()]


def _collect_all(server: Server) -> None:
    started: Answer = server.ask("POST", "/cais/v1/gc")

    def finished() -> Any:
        run = server.ask("GET", f"/cais/v1/gc/{started.json['id']}").json
        return run if run["state"] != "Running" else None

    run = wait_until(finished, what="garbage collection ends")
    assert run["state"] == "Succeeded", run
