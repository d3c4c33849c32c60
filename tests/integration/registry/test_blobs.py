# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from support.registry import Answer, Server, digest_of

CONTENT = bytes(range(256)) * 4096  # 1 MiB


def begin(server: Server, repo: str) -> str:
    answer = server.ask("POST", f"/v2/{repo}/blobs/uploads/")
    assert answer.status == 202
    assert answer["Range"] == "0-0"
    assert answer["Docker-Upload-UUID"]
    location = answer["Location"] or ""
    assert location.startswith(f"/v2/{repo}/blobs/uploads/")
    return location


def check_pull(server: Server, repo: str, content: bytes, digest: str) -> None:
    head = server.ask("HEAD", f"/v2/{repo}/blobs/{digest}")
    assert head.status == 200
    assert head["Content-Length"] == str(len(content))
    got = server.ask("GET", f"/v2/{repo}/blobs/{digest}")
    assert got.body == content
    for answer in (head, got):
        assert answer["Docker-Content-Digest"] == digest
        assert answer["ETag"] == f'"{digest}"'
        assert answer["Accept-Ranges"] == "bytes"
        assert "immutable" in (answer["Cache-Control"] or "")


def check_created(answer: Answer, repo: str, digest: str) -> None:
    assert answer.status == 201
    assert answer["Location"] == f"/v2/{repo}/blobs/{digest}"
    assert answer["Docker-Content-Digest"] == digest


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
@pytest.mark.parametrize("content", [b"", b"x", CONTENT], ids=["empty", "tiny", "1MiB"])
def test_a_blob_pushed_in_one_request_can_be_pulled(
    server: Server, repo: str, content: bytes, algorithm: str
) -> None:
    digest = digest_of(content, algorithm)
    answer = server.ask("POST", f"/v2/{repo}/blobs/uploads/?digest={digest}", content)
    check_created(answer, repo, digest)
    check_pull(server, repo, content, digest)


def test_a_blob_pushed_in_two_requests_can_be_pulled(server: Server, repo: str) -> None:
    location, digest = begin(server, repo), digest_of(CONTENT)
    check_created(server.ask("PUT", f"{location}?digest={digest}", CONTENT), repo, digest)
    check_pull(server, repo, CONTENT, digest)


def test_a_blob_streamed_without_a_length_can_be_pulled(server: Server, repo: str) -> None:
    """As the docker engine pushes: PATCH with chunked transfer, then an empty PUT."""

    def pieces() -> Iterator[bytes]:
        for start in range(0, len(CONTENT), 100_000):
            yield CONTENT[start : start + 100_000]

    location, digest = begin(server, repo), digest_of(CONTENT)
    headers = {"Transfer-Encoding": "chunked"}
    patched = server.ask("PATCH", location, pieces(), headers, chunked=True)
    assert patched.status == 202
    assert patched["Range"] == f"0-{len(CONTENT) - 1}"
    check_created(server.ask("PUT", f"{patched['Location']}?digest={digest}"), repo, digest)
    check_pull(server, repo, CONTENT, digest)


def test_a_blob_pushed_in_chunks_can_be_pulled(server: Server, repo: str) -> None:
    location, digest = begin(server, repo), digest_of(CONTENT)
    half = len(CONTENT) // 2
    first = server.ask("PATCH", location, CONTENT[:half], {"Content-Range": f"0-{half - 1}"})
    assert first["Range"] == f"0-{half - 1}"
    status = server.ask("GET", location)
    assert status.status == 204
    assert status["Range"] == f"0-{half - 1}"
    last = {"Content-Range": f"{half}-{len(CONTENT) - 1}"}
    check_created(
        server.ask("PUT", f"{location}?digest={digest}", CONTENT[half:], last), repo, digest
    )
    check_pull(server, repo, CONTENT, digest)


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
@pytest.mark.parametrize("span", ["5-9", "0-4"])
def test_a_chunk_in_the_wrong_place_is_refused_and_the_upload_goes_on(
    server: Server, repo: str, span: str, method: str
) -> None:
    location = begin(server, repo)
    server.ask("PATCH", location, b"abc", {"Content-Range": "0-2"})
    digest = digest_of(b"abcdef")
    path = location if method == "PATCH" else f"{location}?digest={digest}"
    refused = server.ask(method, path, b"xxxxx", {"Content-Range": span})
    assert refused.status == 416
    assert refused.code == "BLOB_UPLOAD_INVALID"
    assert refused["Range"] == "0-2"
    assert refused["Location"] == location
    assert server.ask("PATCH", location, b"def", {"Content-Range": "3-5"}).status == 202
    assert server.ask("PUT", f"{location}?digest={digest}").status == 201


def test_a_cancelled_upload_is_gone(server: Server, repo: str) -> None:
    location = begin(server, repo)
    assert server.ask("PATCH", location, b"abc").status == 202
    assert server.ask("DELETE", location).status == 204
    for method in ("GET", "DELETE", "PATCH"):
        assert server.ask(method, location).code == "BLOB_UPLOAD_UNKNOWN"
    assert not list((server.data / "uploads").glob((location.rpartition("/")[2]) + "*"))


def test_an_upload_belongs_to_its_repository(server: Server, repo: str) -> None:
    location = begin(server, repo)
    elsewhere = location.replace(repo, f"{repo}-other")
    assert server.ask("PATCH", elsewhere, b"abc").code == "BLOB_UPLOAD_UNKNOWN"
    assert server.ask("GET", location)["Range"] == "0-0"


def test_a_blob_is_mounted_from_another_repository(server: Server, repo: str) -> None:
    digest = server.push_blob(repo, b"shared")
    answer = server.ask("POST", f"/v2/{repo}-2/blobs/uploads/?mount={digest}&from={repo}")
    check_created(answer, f"{repo}-2", digest)
    check_pull(server, f"{repo}-2", b"shared", digest)
    alone = server.ask("POST", f"/v2/{repo}-3/blobs/uploads/?mount={digest}")
    check_created(alone, f"{repo}-3", digest)


@pytest.mark.parametrize("source", ["tests/nowhere", "NOT-A-NAME", ""])
def test_what_cannot_be_mounted_becomes_an_upload(server: Server, repo: str, source: str) -> None:
    digest = digest_of(os.urandom(8))
    path = f"/v2/{repo}/blobs/uploads/?mount={digest}&from={source}"
    answer = server.ask("POST", path)
    assert answer.status == 202
    assert (answer["Location"] or "").startswith(f"/v2/{repo}/blobs/uploads/")


def test_a_blob_of_one_repository_is_unknown_in_another(server: Server, repo: str) -> None:
    digest = server.push_blob(repo, b"mine")
    answer = server.ask("GET", f"/v2/{repo}-other/blobs/{digest}")
    assert (answer.status, answer.code) == (404, "BLOB_UNKNOWN")


def test_a_deleted_blob_is_unknown_at_once(server: Server, repo: str) -> None:
    digest = server.push_blob(repo, b"short-lived")
    assert server.ask("DELETE", f"/v2/{repo}/blobs/{digest}").status == 202
    assert server.ask("HEAD", f"/v2/{repo}/blobs/{digest}").status == 404
    assert server.ask("DELETE", f"/v2/{repo}/blobs/{digest}").code == "BLOB_UNKNOWN"


def test_a_blob_in_use_cannot_be_deleted(server: Server, repo: str) -> None:
    server.push_image(repo, "v1", layer=b"in use")
    answer = server.ask("DELETE", f"/v2/{repo}/blobs/{digest_of(b'in use')}")
    assert (answer.status, answer.code) == (405, "UNSUPPORTED")


def test_a_client_that_hangs_up_early_costs_nothing_more(server: Server, repo: str) -> None:
    digest = server.push_blob(repo, CONTENT)
    for _ in range(20):
        with server.socket() as client:
            path = f"/v2/{repo}/blobs/{digest}"
            client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nRange: bytes=0-\r\n\r\n".encode())
            assert client.recv(100).startswith(b"HTTP/1.1 206")
    check_pull(server, repo, CONTENT, digest)
    (worker,) = server.workers
    descriptors = os.listdir(f"/proc/{worker}/fd")  # noqa: PTH208 - names only
    assert len(descriptors) < 100
