# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from support.bystander import unharmed
from support.registry import OCI_IMAGE, OCI_INDEX, Server, digest_of, wait_until

HEX = "a" * 64


def stored(server: Server) -> list[Path]:
    """Every file of content."""
    return [path for folder in ("uploads", "blobs") for path in (server.data / folder).rglob("*")
            if path.is_file()]  # fmt: skip


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/v2/Upper/case/tags/list", 400, "NAME_INVALID"),
        ("PUT", "/v2/Upper/manifests/v1", 400, "NAME_INVALID"),
        ("POST", "/v2/Upper/blobs/uploads/", 400, "NAME_INVALID"),
        ("GET", "/v2/a/blobs/sha256:bad", 400, "DIGEST_INVALID"),
        ("GET", f"/v2/a/blobs/sha256:{HEX.upper()}", 400, "DIGEST_INVALID"),
        ("GET", "/v2/a/referrers/sha256:bad", 400, "DIGEST_INVALID"),
        ("GET", "/v2/a/manifests/sha256:bad", 400, "DIGEST_INVALID"),
        ("GET", "/v2/a/manifests/" + "x" * 129, 400, "TAG_INVALID"),
        ("GET", "/v2/a/manifests/missing", 404, "MANIFEST_UNKNOWN"),
        ("POST", "/v2/a/blobs/uploads/?digest=sha256:bad", 400, "DIGEST_INVALID"),
        ("POST", "/v2/a/blobs/uploads/?digest-algorithm=md5", 400, "DIGEST_INVALID"),
        ("POST", "/v2/a/blobs/uploads/?mount=bad", 400, "DIGEST_INVALID"),
        ("PATCH", f"/v2/a/blobs/uploads/{'0' * 32}", 404, "BLOB_UPLOAD_UNKNOWN"),
        ("GET", "/v2/nothing", 404, "UNSUPPORTED"),
        ("GET", "/", 404, "UNSUPPORTED"),
        ("POST", "/v2/", 405, "UNSUPPORTED"),
        ("DELETE", "/v2/a/tags/list", 405, "UNSUPPORTED"),
        ("POST", "/cais/v1/usage", 405, "UNSUPPORTED"),
        ("GET", "/cais/v1/gc/unknown", 404, "UNSUPPORTED"),
        ("GET", "/v2/?" + "&".join(f"a={n}" for n in range(300)), 400, "UNSUPPORTED"),
    ],
)
def test_every_refusal_has_a_status_and_a_code(
    server: Server, method: str, path: str, status: int, code: str
) -> None:
    answer = server.ask(method, path)
    assert (answer.status, answer.code) == (status, code)
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Content-Security-Policy"] == "default-src 'none'; sandbox"
    if path.startswith("/v2"):
        assert answer["Docker-Distribution-Api-Version"] == "registry/2.0"


@pytest.mark.parametrize("content", [b"right", b"x" * 3_000_000])
def test_a_blob_with_another_digest_leaves_nothing_behind(
    server: Server, repo: str, content: bytes
) -> None:
    before = stored(server)
    wrong = digest_of(b"wrong")
    one = server.ask("POST", f"/v2/{repo}/blobs/uploads/?digest={wrong}", content)
    assert (one.status, one.code) == (400, "DIGEST_INVALID")
    location = server.ask("POST", f"/v2/{repo}/blobs/uploads/")["Location"]
    two = server.ask("PUT", f"{location}?digest={wrong}", content)
    assert (two.status, two.code) == (400, "DIGEST_INVALID")
    assert server.ask("HEAD", f"/v2/{repo}/blobs/{wrong}").status == 404
    wait_until(lambda: stored(server) == before, what="nothing is left")


@pytest.mark.parametrize("how", ["Content-Length: 1000000", "Transfer-Encoding: chunked"])
def test_a_truncated_upload_leaves_nothing_behind(server: Server, repo: str, how: str) -> None:
    before = stored(server)
    digest = digest_of(b"x" * 1_000_000)
    with server.socket() as client:
        path = f"/v2/{repo}/blobs/uploads/?digest={digest}"
        client.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\n{how}\r\n\r\n".encode())
        if "chunked" in how:
            client.sendall(b"30d40\r\n")
        client.sendall(b"x" * 200_000)
        wait_until(lambda: stored(server) != before, what="the upload has begun")
    wait_until(lambda: stored(server) == before, what="nothing is left")
    assert server.ask("HEAD", f"/v2/{repo}/blobs/{digest}").status == 404


def test_a_truncated_chunk_can_be_resumed(server: Server, repo: str) -> None:
    location = server.ask("POST", f"/v2/{repo}/blobs/uploads/")["Location"] or ""
    with server.socket() as client:
        client.sendall(
            f"PATCH {location} HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n".encode()
        )
        client.sendall(b"abc")
    wait_until(lambda: server.ask("GET", location)["Range"] == "0-2", what="three bytes are there")
    assert server.ask("PATCH", location, b"def", {"Content-Range": "3-5"}).status == 202
    assert server.ask("PUT", f"{location}?digest={digest_of(b'abcdef')}").status == 201


@pytest.mark.parametrize("declared", [True, False])
def test_a_manifest_of_100_mb_is_refused_and_the_client_is_told(
    server: Server, repo: str, *, declared: bool
) -> None:
    """The answer arrives although the client goes on sending; it is not read to the end."""
    path = f"/v2/{repo}/manifests/big"
    head = "Content-Length: 100000000" if declared else "Transfer-Encoding: chunked"
    piece = b" " * 65536 if declared else b"10000\r\n" + b" " * 65536 + b"\r\n"
    sent = 0
    with server.socket() as client:
        client.sendall(f"PUT {path} HTTP/1.1\r\nHost: x\r\n{head}\r\n\r\n".encode())
        try:
            while sent < 100_000_000:
                client.sendall(piece)
                sent += 65536
        except OSError:
            pass  # the connection was closed on us, as it should be
        answer = client.recv(65536)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b'"code": "SIZE_INVALID"' in answer
    assert 16_000_000 < sent < 90_000_000  # what was on its way is thrown away, the rest not read
    assert server.ask("GET", f"/v2/{repo}/manifests/big").status == 404


def test_a_manifest_of_four_megabytes_is_taken(server: Server, repo: str) -> None:
    config = server.push_blob(repo, b"{}")
    manifest = {
        "schemaVersion": 2,
        "mediaType": OCI_IMAGE,
        "config": {"mediaType": "application/x", "digest": config, "size": 2},
        "layers": [],
        "annotations": {"padding": ""},
    }
    room = 4 * 1024 * 1024 - len(json.dumps(manifest))
    manifest["annotations"] = {"padding": "x" * room}
    content = json.dumps(manifest).encode()
    assert len(content) == 4 * 1024 * 1024
    path = f"/v2/{repo}/manifests/big"
    assert server.ask("PUT", path, content, {"Content-Type": OCI_IMAGE}).status == 201
    assert server.ask("GET", path).body == content
    assert server.ask("PUT", path, content + b" ", {"Content-Type": OCI_IMAGE}).status == 413


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        (b"", 400, "MANIFEST_INVALID"),
        (b"not json", 400, "MANIFEST_INVALID"),
        (b"[]", 400, "MANIFEST_INVALID"),
        (b"[" * 100_000, 400, "MANIFEST_INVALID"),
        (
            json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}).encode(),
            400,
            "MANIFEST_INVALID",
        ),
        (
            json.dumps(
                {
                    "schemaVersion": 2,
                    "mediaType": OCI_IMAGE,
                    "config": {"mediaType": "a/b", "digest": f"sha256:{HEX}", "size": 2},
                    "layers": [],
                }
            ).encode(),
            404,
            "MANIFEST_BLOB_UNKNOWN",
        ),
    ],
)
def test_a_bad_manifest_is_refused(
    server: Server, repo: str, content: bytes, status: int, code: str
) -> None:
    path = f"/v2/{repo}/manifests/v1"
    answer = server.ask("PUT", path, content, {"Content-Type": OCI_IMAGE})
    assert (answer.status, answer.code) == (status, code)
    assert server.ask("GET", path).status == 404


MOST = 4 * 1024 * 1024
ENORMOUS = (
    b"[" * MOST,
    b'{"a":' * (MOST // 5),
    b'{"schemaVersion":' + b"9" * (MOST - 20) + b"}",
    b"{" + b'"a":1,' * (MOST // 6 - 2) + b'"a":1}',
    b"[" + b"{}," * (MOST // 3 - 2) + b"{}]",
    b'{"a":"' + b"\\u0000" * (MOST // 6 - 3) + b'"}',
    b'{"manifests":[' + b"0," * (MOST // 2 - 20) + b"0]}",
)


def test_enormous_documents_harm_nobody(server: Server, repo: str) -> None:
    """Each as large as a manifest may be; four at a time, three times over."""

    def push(content: bytes) -> int:
        path = f"/v2/{repo}/manifests/v1"
        return server.ask("PUT", path, content, {"Content-Type": OCI_IMAGE}).status

    with unharmed(server, 192 << 20), ThreadPoolExecutor(4) as threads:
        assert set(threads.map(push, ENORMOUS * 3)) == {400}


def test_a_manifest_with_another_digest_is_refused(server: Server, repo: str) -> None:
    path = f"/v2/{repo}/manifests/sha256:{HEX}"
    index = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}).encode()
    answer = server.ask("PUT", path, index, {"Content-Type": OCI_INDEX})
    assert (answer.status, answer.code) == (400, "DIGEST_INVALID")


def test_a_body_is_not_asked_for_before_the_request_is_let_through(
    server: Server, repo: str
) -> None:
    with server.socket() as client:
        client.sendall(
            f"PUT /v2/{repo}/manifests/big HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n"
            "Expect: 100-continue\r\n\r\n".encode()
        )
        assert client.recv(65536).startswith(b"HTTP/1.1 413 ")
