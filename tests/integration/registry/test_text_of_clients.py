# SPDX-License-Identifier: Apache-2.0
"""Text that clients send: in paths, queries, logs. None of it becomes anything else."""

from __future__ import annotations

import time
from typing import Any

import pytest

from support.registry import Server, digest_of, wait_until

HEX = "a" * 64


@pytest.mark.parametrize(
    "text", ["apps/x%0a", "apps/x%00", "%0aapps/x", "apps%2f%2fx", "apps/x/", "apps/x%20", "APPS/x"]
)
def test_a_name_is_matched_whole(server: Server, text: str) -> None:
    """PROJQUAY-10885: a pattern that was not anchored let a name through."""
    answer = server.ask("GET", f"/v2/{text}/tags/list")
    assert (answer.status, answer.code) == (400, "NAME_INVALID")


@pytest.mark.parametrize(
    "path",
    [
        "/v2/" + "a-" * 20_000 + "/tags/list",
        "/v2/" + "a." * 120 + "!/tags/list",
        "/v2/" + "a/" * 120 + "A/tags/list",
        "/v2/a/manifests/" + "." * 20_000,
        "/v2/a/blobs/sha256:" + "a" * 20_000,
        "/v2/a/tags/list?n=" + "1" * 4000,
        "/v2/a/tags/list?" + "a" * 20_000,
    ],
)
def test_no_text_takes_long_to_be_refused(server: Server, path: str) -> None:
    """PROJQUAY-10573: an expression that tried every way to match."""
    began = time.monotonic()
    assert server.ask("GET", path).status in (400, 404)
    assert time.monotonic() - began < 10  # exponential would be hours


SQL = ("'", "' OR '1'='1", "x'; DROP TABLE tag; --", "%", "_", "\\", '"')


@pytest.mark.parametrize("text", SQL)
def test_no_text_of_a_client_becomes_a_query(server: Server, repo: str, text: str) -> None:
    """CVE-2024-22261: a parameter was pasted into SQL."""
    server.push_image(repo, "v1")
    quoted = "".join(f"%{byte:02x}" for byte in text.encode())
    subject = digest_of(b"none")
    for path in (
        f"/v2/{repo}/tags/list?last={quoted}",
        f"/v2/_catalog?last={quoted}&n=1000",
        f"/v2/{repo}/referrers/{subject}?artifactType={quoted}&last={quoted}",
    ):
        assert server.ask("GET", path).status == 200
    expected = ["v1"] if text < "v1" else []
    found = server.ask("GET", f"/v2/{repo}/tags/list?last={quoted}").json["tags"]
    assert found == expected
    unknown = server.ask("GET", f"/v2/{repo}/manifests/{quoted}")
    assert unknown.status == (404 if text == "_" else 400)  # a tag, though there is none
    assert server.ask("GET", f"/v2/{repo}/manifests/v1").status == 200


def test_a_log_line_cannot_be_forged(server: Server, repo: str) -> None:
    forged = '"}{"level":"error"}\t\u202e\u2028\x9b2J'  # the last one clears some terminals
    query = "%0d%0a%7b%22level%22%3a%22error%22%7d"
    agent = forged.encode().decode("latin-1")
    path = f"/v2/{repo}/tags/list?ns={query}"
    assert server.ask("GET", path, headers={"User-Agent": agent}).status == 404

    def line() -> Any:
        return next((one for one in server.lines() if repo in str(one.get("path"))), None)

    found = wait_until(line, what="the request is logged")
    assert (found["level"], found["status"]) == ("info", 404)
    for text in server.log.read_text().splitlines():
        assert text.isprintable()
        assert not text.startswith('{"level":"error"')


@pytest.mark.parametrize(
    "path",
    [
        "/v2/../../etc/passwd",
        "/v2/%2e%2e/%2e%2e/etc/tags/list",
        "/v2/..%2f..%2fetc/manifests/passwd",
        "/v2/a/blobs/sha256:..%2f..%2f..%2fmetadata.sqlite3",
        f"/v2/a/blobs/sha256:{HEX[:60]}%2f..",
        "/v2/a/blobs/uploads/..%2f..%2fmetadata.sqlite3",
        "/v2/a/manifests/..%2f..%2fmetadata.sqlite3",
        "//etc/passwd",
        "/metrics/../metadata.sqlite3",
    ],
)
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_no_path_leaves_the_store(server: Server, method: str, path: str) -> None:
    before = sorted(server.data.iterdir())
    answer = server.ask(method, path, b"" if method == "PUT" else None)
    assert answer.status in (400, 404, 405)
    assert answer.code
    assert sorted(server.data.iterdir()) == before
