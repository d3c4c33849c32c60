# SPDX-License-Identifier: Apache-2.0
"""Several servers over one PostgreSQL and one bucket, as one registry."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from itertools import cycle
from pathlib import Path

import pytest

from support.objectstore import S3Server
from support.registry import OCI_IMAGE, Server, digest_of, running, wait_until


@pytest.fixture
def pair(tmp_path: Path, dsn: str, s3: S3Server) -> Iterator[tuple[Server, Server]]:
    """Two servers with nothing in common but database and bucket."""
    with ExitStack() as stack:
        servers = []
        for name in ("one", "two"):
            folder = tmp_path / name
            folder.mkdir()
            (folder / "url").write_text(dsn + "\n")
            config = {
                "database": {"urlFile": str(folder / "url")},
                "storage": s3.settings(folder, prefix=tmp_path.name),
                "garbageCollection": {"pushLease": "24h", "undeleteWindow": "0s"},
            }
            servers.append(stack.enter_context(running(folder, config=config)))
        yield servers[0], servers[1]


def push_anywhere(
    servers: tuple[Server, Server], repo: str, tag: str, layer: bytes, config: bytes = b"{}"
) -> str:
    """Push an image; no two requests after each other go to the same server."""
    turn = cycle(servers)
    for content in (config, layer):
        place = next(turn).ask("POST", f"/v2/{repo}/blobs/uploads/")["Location"] or ""
        half = len(content) // 2
        for part in (content[:half], content[half:]):
            assert next(turn).ask("PATCH", place, part).status == 202
        assert next(turn).ask("PUT", f"{place}?digest={digest_of(content)}").status == 201
        next(turn)
    descriptors = [
        {"mediaType": "application/octet-stream", "digest": digest_of(part), "size": len(part)}
        for part in (config, layer)
    ]
    manifest = {"schemaVersion": 2, "config": descriptors[0], "layers": descriptors[1:]}
    return next(turn).push_manifest(repo, tag, manifest | {"mediaType": OCI_IMAGE})


def is_at_rest(server: Server) -> bool:
    return server.ask("GET", "/cais/v1/gc").json["current"] is None


def test_an_upload_needs_no_server_of_its_own(pair: tuple[Server, Server]) -> None:
    layer = secrets.token_bytes(12_000_000)
    digest = push_anywhere(pair, "team/app", "v1", layer)
    for server in pair:
        assert server.ask("GET", "/v2/team/app/manifests/v1")["Docker-Content-Digest"] == digest
        assert server.ask("GET", f"/v2/team/app/blobs/{digest_of(layer)}").body == layer


def test_what_one_server_changes_the_other_knows_at_once(pair: tuple[Server, Server]) -> None:
    one, two = pair
    for number in range(20):
        digest = one.push_image("app", "v1", f"layer {number}".encode())
        assert two.ask("HEAD", "/v2/app/manifests/v1")["Docker-Content-Digest"] == digest
        assert one.ask("HEAD", "/v2/app/manifests/v1").status == 200
        assert two.ask("DELETE", f"/v2/app/manifests/{digest}").status == 202
        assert one.ask("HEAD", "/v2/app/manifests/v1").status == 404
        assert one.ask("GET", f"/v2/app/manifests/{digest}").status == 404


def test_nothing_is_lost_while_both_collect_garbage(pair: tuple[Server, Server]) -> None:
    is_over = threading.Event()

    def collect(server: Server) -> int:
        runs = 0
        while not is_over.is_set():
            assert server.ask("POST", "/cais/v1/gc").status == 202
            runs += 1
        return runs

    def push(number: int) -> tuple[str, bytes]:
        layer = secrets.token_bytes(1000 + number)
        return push_anywhere(pair, f"app{number % 3}", f"v{number}", layer), layer

    def drop(number: int) -> None:
        # a config of its own: with an undelete window shorter than the lease, the deletion of
        # one image may take a shared blob from a push that goes on beside it (docs/limits.md)
        parts = secrets.token_bytes(100), b"%d" % number
        digest = push_anywhere(pair, "gone", f"v{number}", *parts)
        assert pair[number % 2].ask("DELETE", f"/v2/gone/manifests/{digest}").status == 202

    with ThreadPoolExecutor(6) as threads:
        collectors = [threads.submit(collect, server) for server in pair]
        dropping = threads.map(drop, range(10))
        try:
            pushed = list(threads.map(push, range(30)))
            list(dropping)
        finally:
            is_over.set()
        assert all(collector.result() for collector in collectors)
    for number, (digest, layer) in enumerate(pushed):
        server = pair[number % 2]
        path = f"/v2/app{number % 3}"
        assert server.ask("GET", f"{path}/manifests/v{number}")["Docker-Content-Digest"] == digest
        assert server.ask("GET", f"{path}/blobs/{digest_of(layer)}").body == layer
    for server in pair:
        wait_until(partial(is_at_rest, server), what="the last run has ended")
