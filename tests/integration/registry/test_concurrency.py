# SPDX-License-Identifier: Apache-2.0
"""Many clients at once, on the same things: nothing fails, and what was acknowledged is there."""

from __future__ import annotations

import json
import os
import secrets
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

import pytest

from support.postgresql import Cluster
from support.registry import OCI_IMAGE, Answer, Server, digest_of, running, wait_until

T = TypeVar("T")
CLIENTS = 64
ROUNDS = 12
COLLECTING = {"garbageCollection": {"pushLease": "24h", "undeleteWindow": "0s"}}
CONFIG = b"{}"


@contextmanager
def faultless(folder: Path, config: Any = None) -> Iterator[Server]:
    """A server that may not answer 5xx to anyone, or log an error."""
    with running(folder, config=config) as server:
        yield server
        lines = server.lines()
        assert not [line for line in lines if line.get("status", 0) >= 500]
        assert not [line for line in lines if line["level"] == "error"]


Start = Callable[..., AbstractContextManager[Server]]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def start(request: pytest.FixtureRequest) -> Start:
    """Starts such a server, with metadata in SQLite or in an empty database of PostgreSQL."""
    if request.param == "sqlite":
        return faultless
    postgres: Cluster = request.getfixturevalue("postgres")

    def over_postgresql(
        folder: Path, config: Mapping[str, Any] = MappingProxyType({})
    ) -> AbstractContextManager[Server]:
        (folder / "url").write_text(postgres.create(f"test_{secrets.token_hex(6)}"))
        return faultless(folder, {**config, "database": {"urlFile": str(folder / "url")}})

    return over_postgresql


@pytest.fixture(scope="module")
def server(start: Start, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with start(tmp_path_factory.mktemp("server")) as started:
        yield started


def together(count: int, work: Callable[[int], T]) -> list[T]:
    """Let so many clients do something at the same moment; what each returned."""
    gate = threading.Barrier(count)

    def one(number: int) -> T:
        gate.wait()
        return work(number)

    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(one, range(count)))


def image(*layers: bytes) -> bytes:
    def descriptor(content: bytes) -> dict[str, Any]:
        kind = "application/vnd.oci.image.layer.v1.tar"
        return {"mediaType": kind, "digest": digest_of(content), "size": len(content)}

    return json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": OCI_IMAGE,
            "config": descriptor(CONFIG),
            "layers": [descriptor(layer) for layer in layers],
        }
    ).encode()


def put(server: Server, repo: str, reference: str, manifest: bytes) -> Answer:
    kind = {"Content-Type": OCI_IMAGE}
    return server.ask("PUT", f"/v2/{repo}/manifests/{reference}", manifest, kind)


def push(server: Server, repo: str, layer: bytes, *tags: str) -> bytes:
    """Push an image with one layer of its own under some tags; the manifest."""
    for content in (CONFIG, layer):
        server.push_blob(repo, content)
    manifest = image(layer)
    for tag in tags:
        assert put(server, repo, tag, manifest).status == 201
    return manifest


def read(server: Server, repo: str, kind: str, reference: str) -> bytes:
    answer = server.ask("GET", f"/v2/{repo}/{kind}/{reference}")
    assert answer.status == 200, answer.body
    return answer.body


def test_the_same_and_other_layers_to_one_tag_of_one_repository(server: Server, repo: str) -> None:
    shared = os.urandom(1 << 20)

    def client(number: int) -> bytes:
        own = os.urandom(20_000)
        for content in (CONFIG, shared, own):
            server.push_blob(repo, content)
        manifest = image(shared, own)
        for tag in ("latest", f"own-{number}"):
            assert put(server, repo, tag, manifest).status == 201
        assert read(server, repo, "blobs", digest_of(own)) == own
        return manifest

    manifests = together(CLIENTS, client)
    assert read(server, repo, "manifests", "latest") in manifests
    for number, manifest in enumerate(manifests):
        assert read(server, repo, "manifests", f"own-{number}") == manifest
        for layer in json.loads(manifest)["layers"]:
            content = read(server, repo, "blobs", layer["digest"])
            assert digest_of(content) == layer["digest"]
    listed = server.ask("GET", f"/v2/{repo}/tags/list").json["tags"]
    assert listed == sorted(["latest", *(f"own-{number}" for number in range(CLIENTS))])
    places = [
        path for path in (server.data / "blobs").rglob("*") if digest_hex(shared) in str(path)
    ]
    assert len([path for path in places if path.is_file()]) == 1  # one copy is kept


def digest_hex(content: bytes) -> str:
    return digest_of(content).partition(":")[2]


@pytest.mark.parametrize("ranged", [True, False])
def test_of_two_chunks_for_one_upload_each_is_taken_whole_or_not_at_all(
    server: Server, repo: str, *, ranged: bool
) -> None:
    for _ in range(ROUNDS):
        location = str(server.ask("POST", f"/v2/{repo}/blobs/uploads/")["Location"])
        chunks = [bytes([letter]) * 300_000 for letter in b"ab"]
        headers = {"Content-Range": "0-299999"} if ranged else {}

        def client(number: int, where: str = location, sent: Any = (chunks, headers)) -> int:
            return server.ask("PATCH", where, sent[0][number], sent[1]).status

        found = together(2, client)
        taken = [chunk for chunk, status in zip(chunks, found, strict=True) if status == 202]
        assert sorted(set(found)) in ([202], [202, 416]), found
        assert len(taken) == 1 or not ranged
        content = (server.data / "uploads" / location.rpartition("/")[2]).read_bytes()
        assert content in (b"".join(taken), b"".join(reversed(taken)))
        assert server.ask("PUT", f"{location}?digest={digest_of(content)}").status == 201


@contextmanager
def collections(server: Server) -> Iterator[None]:
    """Collect garbage again and again beside; every run has to succeed."""
    stop, failures = threading.Event(), list[Any]()

    def collect() -> None:
        while not stop.is_set():
            run = server.ask("POST", "/cais/v1/gc", b"{}").json
            while run["state"] == "Running":
                run = server.ask("GET", f"/cais/v1/gc/{run['id']}").json
            if run["state"] != "Succeeded":
                failures.append(run)
                return

    thread = threading.Thread(target=collect, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
    assert not failures


def test_what_was_mounted_stays_although_its_source_is_deleted(
    start: Start, tmp_path: Path
) -> None:
    with start(tmp_path, COLLECTING) as server, collections(server):
        for number in range(ROUNDS):
            content = os.urandom(10_000)
            digest = server.push_blob("source", content)

            def client(one: int, digest: str = digest, number: int = number) -> Answer:
                if one == 0:
                    return server.ask("DELETE", f"/v2/source/blobs/{digest}")
                query = f"mount={digest}&from=source"
                return server.ask("POST", f"/v2/target-{number}-{one}/blobs/uploads/?{query}")

            deleted, *mounts = together(4, client)
            assert deleted.status == 202
            assert server.ask("GET", f"/v2/source/blobs/{digest}").status == 404
            for one, mounted in enumerate(mounts, start=1):
                assert mounted.status in {201, 202}  # 202: too late, send the bytes
                if mounted.status == 201:
                    found = read(server, f"target-{number}-{one}", "blobs", digest)
                    assert found == content


def test_a_download_that_runs_finishes_although_the_blob_is_deleted(
    start: Start, tmp_path: Path
) -> None:
    content = os.urandom(32 << 20)  # fits into no buffer
    with start(tmp_path, COLLECTING) as server:
        digest = server.push_blob("a", content)
        with closing(server.connect()) as connection:
            connection.request("GET", f"/v2/a/blobs/{digest}")
            with connection.getresponse() as answer:
                begin = answer.read(1 << 20)
                assert server.ask("DELETE", f"/v2/a/blobs/{digest}").status == 202
                assert server.ask("GET", f"/v2/a/blobs/{digest}").status == 404

                def is_reclaimed() -> bool:
                    server.ask("POST", "/cais/v1/gc", b"{}")
                    files = (server.data / "blobs").rglob("*")
                    return not any(path.is_file() for path in files)

                wait_until(is_reclaimed, what="its bytes are deleted")
                assert begin + answer.read() == content


def test_in_a_storm_of_tags_no_update_is_lost(server: Server, repo: str) -> None:
    manifests = [push(server, repo, b"layer %d" % number) for number in range(8)]
    for manifest in manifests:
        assert put(server, repo, digest_of(manifest), manifest).status == 201

    def client(number: int) -> bytes:
        last = b""
        for turn in range(ROUNDS):
            last = manifests[(number + turn) % len(manifests)]
            for tag in ("latest", f"own-{number}"):
                assert put(server, repo, tag, last).status == 201
            assert read(server, repo, "manifests", f"own-{number}") == last
            assert read(server, repo, "manifests", "latest") in manifests
        return last

    for number, last in enumerate(together(CLIENTS // 4, client)):
        assert read(server, repo, "manifests", f"own-{number}") == last
    assert put(server, repo, "latest", manifests[3]).status == 201
    assert read(server, repo, "manifests", "latest") == manifests[3]


def test_pushes_and_deletions_beside_collections_lose_nothing(start: Start, tmp_path: Path) -> None:
    shared = [os.urandom(5000) for _ in range(4)]
    with start(tmp_path, COLLECTING) as server:

        def client(number: int) -> dict[str, bytes]:
            kept = {}
            for turn in range(ROUNDS):
                tag = f"t-{number}-{turn}"
                kept[tag] = push(server, "app", shared[(number + turn) % len(shared)], tag)
                if turn % 3:  # others keep what this one deletes
                    assert server.ask("DELETE", f"/v2/app/manifests/{tag}").status == 202
                    del kept[tag]
            return kept

        with collections(server):
            kept = together(CLIENTS // 4, client)
        for tag, manifest in (pair for one in kept for pair in one.items()):
            assert read(server, "app", "manifests", tag) == manifest
            for layer in json.loads(manifest)["layers"]:
                assert digest_of(read(server, "app", "blobs", layer["digest"])) == layer["digest"]
        tags = server.ask("GET", "/v2/app/tags/list?n=1000").json["tags"]
        assert tags == sorted(tag for one in kept for tag in one)
