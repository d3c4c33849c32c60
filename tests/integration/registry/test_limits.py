# SPDX-License-Identifier: Apache-2.0
"""Immutable tags, read-only and quota through the front door, changed while the server runs."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from support.registry import OCI_IMAGE, Answer, Server, digest_of, running, wait_until

AT_ONCE = {"pushLease": "0s", "undeleteWindow": "0s"}
LAYER = os.urandom(200_000)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with running(tmp_path, config={"garbageCollection": AT_ONCE}) as started:
        yield started


def configure(server: Server, **limits: Any) -> None:
    """Change the file, and wait until the server has loaded it."""
    path = server.data.parent / "server.yaml"
    path.write_text(json.dumps({"garbageCollection": AT_ONCE, **limits}))
    wanted = digest_of(path.read_bytes()).removeprefix("sha256:")

    def is_loaded() -> bool:
        found = server.ask("GET", "/cais/v1/config").json
        assert found["error"] is None
        return bool(found["files"][str(path)] == wanted)

    wait_until(is_loaded, what="the file is loaded")


def used(server: Server) -> int:
    return int(server.ask("GET", "/cais/v1/usage").json["quota"]["used"])


def files(server: Server) -> int:
    folders = (server.data / "blobs", server.data / "uploads")
    return sum(path.is_file() for folder in folders for path in folder.rglob("*"))


def put(server: Server, path: str, digest: str) -> Answer:
    """Send a manifest that the registry has to another place."""
    content = server.ask("GET", f"/v2/a/manifests/{digest}").body
    return server.ask("PUT", path, content, {"Content-Type": OCI_IMAGE})


def test_an_immutable_tag_stays_until_the_rule_goes(server: Server) -> None:
    first = server.push_image("a", "v1", layer=b"first")
    second = server.push_image("a", "dev", layer=b"second")
    configure(server, immutableTags=[{"repositories": ["**"], "tags": ["v*"]}])
    refused = (
        put(server, "/v2/a/manifests/v1", second),
        put(server, f"/v2/a/manifests/{second}?tag=v1", second),
        put(server, "/v2/a/manifests/other?tag=x&tag=v1", second),
        server.ask("DELETE", "/v2/a/manifests/v1"),
        server.ask("DELETE", f"/v2/a/manifests/{first}"),
    )
    for answer in refused:
        assert (answer.status, answer.code) == (403, "DENIED")
        (error,) = answer.json["errors"]
        assert f"tag v1 of a is immutable and points at {first}" in error["message"]
        assert error["detail"]["rule"] == "{repositories: [**], tags: [v*]}"
    assert server.ask("GET", "/v2/a/tags/list").json["tags"] == ["dev", "v1"]
    assert put(server, "/v2/a/manifests/v1", first).status == 201  # the same again
    assert put(server, f"/v2/a/manifests/{first}?tag=v1&tag=v2", first).status == 201
    assert put(server, "/v2/a/manifests/dev", first).status == 201
    configure(server)
    assert put(server, "/v2/a/manifests/v1", second).status == 201
    assert server.ask("DELETE", "/v2/a/manifests/v1").status == 202


def test_read_only_refuses_changes_and_serves_the_rest(server: Server) -> None:
    digest = server.push_image("a", "v1", layer=LAYER)
    layer = digest_of(LAYER)
    upload = server.ask("POST", "/v2/a/blobs/uploads/")["Location"] or ""
    configure(server, readOnly=True)
    changes = (
        ("POST", "/v2/a/blobs/uploads/"),
        ("POST", f"/v2/a/blobs/uploads/?digest={layer}"),
        ("POST", f"/v2/b/blobs/uploads/?mount={layer}&from=a"),
        ("PATCH", upload),
        ("PUT", f"{upload}?digest={layer}"),
        ("DELETE", upload),
        ("PUT", "/v2/a/manifests/v2"),
        ("DELETE", "/v2/a/manifests/v1"),
        ("DELETE", f"/v2/a/manifests/{digest}"),
        ("DELETE", f"/v2/a/blobs/{layer}"),
        ("POST", "/cais/v1/undelete"),
    )
    for method, path in changes:
        answer = server.ask(method, path, LAYER)
        assert (answer.status, answer.code, answer["Allow"]) == (405, "UNSUPPORTED", "GET, HEAD")
        assert "the registry is read-only" in answer.json["errors"][0]["message"]
    assert server.ask("GET", "/readyz").status == 200
    assert server.ask("GET", "/v2/a/tags/list").json["tags"] == ["v1"]
    assert server.ask("GET", f"/v2/a/blobs/{layer}").body == LAYER
    assert server.ask("GET", "/v2/_catalog").json == {"repositories": ["a"]}
    assert server.ask("POST", "/cais/v1/gc", b"{}").status == 202
    configure(server)
    assert server.ask("PUT", f"{upload}?digest={layer}", LAYER).status == 201  # goes on
    server.push_image("a", "v2")


def test_the_switch_to_read_only_stops_an_upload_that_runs(server: Server) -> None:
    server.push_image("a", "v1")
    before = files(server)
    with server.socket() as raw:
        head = f"POST /v2/a/blobs/uploads/?digest={digest_of(LAYER)} HTTP/1.1\r\n"
        raw.sendall(f"{head}Host: x\r\nContent-Length: {len(LAYER)}\r\n\r\n".encode())
        raw.sendall(LAYER[:-1])
        wait_until(lambda: files(server) > before, what="the upload has begun")
        configure(server, readOnly=True)
        raw.sendall(LAYER[-1:])
        answer = raw.recv(4096)
    assert answer.startswith(b"HTTP/1.1 405 ")
    wait_until(lambda: files(server) == before, what="nothing of the upload is left")


def test_a_quota_comes_and_goes_and_names_what_would_be_free(server: Server) -> None:
    server.push_image("a", "v1", layer=LAYER)
    full = used(server)
    before = files(server)
    configure(server, quota=full)
    digest = digest_of(b"more")
    for path, content in (
        (f"/v2/a/blobs/uploads/?digest={digest}", b"more"),
        (f"/v2/b/blobs/uploads/?digest={digest}", b"more"),
    ):
        answer = server.ask("POST", path, content)
        assert (answer.status, answer.code) == (403, "DENIED")
        (error,) = answer.json["errors"]
        assert f"{full} of {full} bytes are used" in error["message"]
        assert "Garbage collection can free 0 bytes" in error["message"]
        assert error["detail"] == {"used": full, "added": 4, "limit": full, "reclaimable": 0}
    assert files(server) == before
    assert server.ask("GET", "/cais/v1/usage").json["quota"] == {"used": full, "limit": full}
    assert f"cais_quota_bytes {float(full)}" in server.ask("GET", "/metrics").body.decode()
    server.push_blob("b", LAYER)  # there already
    mount = f"/v2/c/blobs/uploads/?mount={digest_of(LAYER)}&from=a"
    assert server.ask("POST", mount).status == 201
    configure(server, quota=full + 4)
    server.push_blob("a", b"more")
    assert used(server) == full + 4
    configure(server)
    assert "cais_quota_bytes" not in server.ask("GET", "/metrics").body.decode()
    server.push_image("a", "v2", layer=LAYER + b"more")


def test_a_blob_that_is_too_large_is_refused_before_it_is_sent(server: Server) -> None:
    configure(server, quota=1_000_000)
    with server.socket() as raw:
        head = f"POST /v2/a/blobs/uploads/?digest={digest_of(b'x')} HTTP/1.1\r\nHost: x\r\n"
        raw.sendall(f"{head}Expect: 100-continue\r\nContent-Length: 1000001\r\n\r\n".encode())
        assert raw.recv(4096).startswith(b"HTTP/1.1 403 ")
    assert files(server) == 0


@pytest.mark.parametrize("is_chunked", [True, False])
def test_a_chunk_that_is_too_large_ends_the_upload(server: Server, *, is_chunked: bool) -> None:
    configure(server, quota=1_000_000)
    location = server.ask("POST", "/v2/a/blobs/uploads/")["Location"] or ""
    sent = iter([bytes(300_000)] * 5) if is_chunked else bytes(1_500_000)
    answer = server.ask("PATCH", location, sent, chunked=is_chunked)
    assert (answer.status, answer.code) == (403, "DENIED")
    assert server.ask("GET", location).status == 404
    wait_until(lambda: files(server) == 0, what="nothing of the upload is left")


def test_many_clients_at_the_edge_of_a_quota_never_pass_it(server: Server) -> None:
    """Each finds room when it begins; the last byte of all is held back until all have begun."""
    size, fit = 50_000, 3
    configure(server, quota=size * fit + size // 2)
    barrier = threading.Barrier(8, timeout=60)

    def push(number: int) -> int:
        content = bytes([number]) * size

        def body() -> Iterator[bytes]:
            yield content[:-1]
            barrier.wait()
            yield content[-1:]

        path = f"/v2/a/blobs/uploads/?digest={digest_of(content)}"
        return server.ask("POST", path, body(), chunked=True).status

    with ThreadPoolExecutor(8) as pool:
        statuses = sorted(pool.map(push, range(8)))
    assert statuses == [201] * fit + [403] * (8 - fit)
    assert used(server) == size * fit
    wait_until(lambda: files(server) == fit, what="nothing of the refused ones is left")
    assert files(server) == fit


def test_garbage_collection_makes_room_again(server: Server) -> None:
    server.push_image("a", "v1", layer=LAYER)
    configure(server, quota=used(server) + 100_000)
    digest = digest_of(LAYER[::-1])
    path = f"/v2/a/blobs/uploads/?digest={digest}"
    assert server.ask("POST", path, LAYER[::-1]).status == 403
    server.ask("DELETE", "/v2/a/manifests/v1")
    run = server.ask("POST", "/cais/v1/gc", b"{}").json["id"]
    wait_until(
        lambda: server.ask("GET", f"/cais/v1/gc/{run}").json["state"] == "Succeeded", what="it ends"
    )
    assert server.ask("POST", path, LAYER[::-1]).status == 201


def test_a_wrong_limit_changes_nothing(server: Server) -> None:
    configure(server, quota=1000)
    path = server.data.parent / "server.yaml"
    path.write_text(json.dumps({"garbageCollection": AT_ONCE, "quota": "plenty"}))

    def error() -> Any:
        return server.ask("GET", "/cais/v1/config").json["error"]

    assert "quota: Expected `int" in wait_until(error, what="the bad file is reported")
    answer = server.ask("POST", f"/v2/a/blobs/uploads/?digest={digest_of(LAYER)}", LAYER)
    assert answer.status == 403
