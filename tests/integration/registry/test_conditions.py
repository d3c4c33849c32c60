# SPDX-License-Identifier: Apache-2.0
"""Reading by the rules of HTTP (RFC 9110): HEAD, entity tags, ranges, caching."""

from __future__ import annotations

import pytest

from support.registry import Answer, Server, digest_of

CONTENT = bytes(range(256)) * 40  # 10,240 bytes
SIZE = len(CONTENT)


@pytest.fixture(params=["blob", "manifest by tag", "manifest by digest"])
def path(server: Server, repo: str, request: pytest.FixtureRequest) -> str:
    """The address of some content that has a digest."""
    digest = server.push_image(repo, "v1", layer=CONTENT)
    if request.param == "blob":
        return f"/v2/{repo}/blobs/{digest_of(CONTENT)}"
    return f"/v2/{repo}/manifests/{'v1' if 'tag' in request.param else digest}"


def shown(answer: Answer) -> list[tuple[str, str]]:
    """All headers but the time."""
    found = [(name.lower(), value) for name, value in answer.headers.items()]
    return sorted(pair for pair in found if pair[0] != "date")


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    ("form", "is_unchanged"),
    [
        ("{}", True),
        ("W/{}", True),
        ('"sha256:x", {}', True),
        ('"sha256:x",W/{} , "y"', True),
        ("*", True),
        ('"sha256:x"', False),
        ("sha256:x", False),
        ("", False),
    ],
)
def test_who_has_it_already_is_not_sent_it(
    server: Server, path: str, method: str, form: str, *, is_unchanged: bool
) -> None:
    whole = server.ask("GET", path)
    etag = whole["ETag"] or ""
    answer = server.ask(method, path, headers={"If-None-Match": form.format(etag)})
    assert answer.status == (304 if is_unchanged else 200)
    if is_unchanged:
        assert answer.body == b""
    for name in ("ETag", "Cache-Control", "Docker-Content-Digest"):
        assert answer[name] == whole[name]


def test_who_has_another_version_of_a_tag_is_sent_the_new_one(server: Server, repo: str) -> None:
    server.push_image(repo, "v1", layer=b"old")
    old = server.ask("GET", f"/v2/{repo}/manifests/v1")["ETag"] or ""
    digest = server.push_image(repo, "v1", layer=b"new")
    answer = server.ask("GET", f"/v2/{repo}/manifests/v1", headers={"If-None-Match": old})
    assert (answer.status, answer["Docker-Content-Digest"]) == (200, digest)


def test_a_condition_on_what_is_not_there_is_not_met(server: Server, repo: str) -> None:
    for path in (f"blobs/{digest_of(b'none')}", "manifests/none"):
        answer = server.ask("GET", f"/v2/{repo}/{path}", headers={"If-None-Match": "*"})
        assert answer.status == 404


def test_only_what_a_digest_names_may_be_kept_without_asking(server: Server, path: str) -> None:
    keep = server.ask("GET", path)["Cache-Control"] or ""
    if path.endswith("/v1"):
        assert keep == "no-cache"
    else:
        assert keep == "private, max-age=31536000, immutable"


HEADED = [
    "/v2/",
    "/v2/_catalog",
    "/v2/_catalog?n=0",
    "/v2/{repo}/tags/list",
    "/v2/{repo}/tags/list?n=1",
    "/v2/{repo}/tags/list?n=x",
    "/v2/{repo}/manifests/v1",
    "/v2/{repo}/manifests/none",
    "/v2/{repo}/manifests/{digest}",
    "/v2/{repo}/blobs/{blob}",
    "/v2/{repo}/blobs/{digest}",
    "/v2/{repo}/blobs/sha256:x",
    "/v2/{repo}/referrers/{digest}",
    "/v2/{repo}/referrers/{digest}?artifactType=a/b",
    "/v2/none/tags/list",
    "/v2/NAME/tags/list",
    "/v2/{repo}/blobs/uploads/",
    "/healthz",
    "/nothing",
]


@pytest.mark.parametrize("form", HEADED)
def test_head_has_the_headers_of_get_and_no_body(server: Server, repo: str, form: str) -> None:
    digest = server.push_image(repo, "v1", layer=CONTENT)
    server.push_image(repo, "v2")
    path = form.format(repo=repo, digest=digest, blob=digest_of(CONTENT))
    got, headed = server.ask("GET", path), server.ask("HEAD", path)
    assert headed.status == got.status
    if got.status != 405:  # which names the method
        assert shown(headed) == shown(got)
    assert headed.body == b""


def test_a_range_of_a_head_is_ignored(server: Server, repo: str) -> None:
    digest = server.push_blob(repo, CONTENT)
    answer = server.ask("HEAD", f"/v2/{repo}/blobs/{digest}", headers={"Range": "bytes=0-1"})
    assert (answer.status, answer["Content-Length"]) == (200, str(SIZE))


@pytest.mark.parametrize(
    ("header", "start", "end"),
    [
        ("bytes=500-1499", 500, 1500),
        ("bytes=500-", 500, SIZE),
        ("bytes=-500", SIZE - 500, SIZE),
        ("bytes=0-0", 0, 1),
        ("bytes=0-99999999999999999999999", 0, SIZE),
        ("bytes=-99999999999999999999999", 0, SIZE),
        ("bytes=10000-50000", 10000, SIZE),
        ("Bytes=1-2", 1, 3),
    ],
)
def test_a_part_is_sent_exactly(
    server: Server, repo: str, header: str, start: int, end: int
) -> None:
    digest = server.push_blob(repo, CONTENT)
    answer = server.ask("GET", f"/v2/{repo}/blobs/{digest}", headers={"Range": header})
    assert answer.status == 206
    assert answer["Content-Range"] == f"bytes {start}-{end - 1}/{SIZE}"
    assert answer["Content-Length"] == str(end - start)
    assert answer["ETag"] == f'"{digest}"'
    assert answer.body == CONTENT[start:end]


@pytest.mark.parametrize(
    "header", ["bytes=0-1,5-6", "bytes=", "bytes=-", "bytes=a-b", "items=0-1", "bytes=0-1-2", "0-1"]
)
def test_several_ranges_and_what_is_none_get_the_whole(
    server: Server, repo: str, header: str
) -> None:
    digest = server.push_blob(repo, CONTENT)
    answer = server.ask("GET", f"/v2/{repo}/blobs/{digest}", headers={"Range": header})
    assert (answer.status, answer["Content-Range"], answer.body) == (200, None, CONTENT)


@pytest.mark.parametrize(
    "header", ["bytes=500-0", "bytes=10240-", "bytes=99999-100000", "bytes=-0"]
)
def test_a_range_beyond_the_end_is_refused_with_the_size(
    server: Server, repo: str, header: str
) -> None:
    digest = server.push_blob(repo, CONTENT)
    answer = server.ask("GET", f"/v2/{repo}/blobs/{digest}", headers={"Range": header})
    assert (answer.status, answer.code) == (416, "RANGE_INVALID")
    assert answer["Content-Range"] == f"bytes */{SIZE}"
    assert f"0 to {SIZE - 1}" in answer.json["errors"][0]["message"]


@pytest.mark.parametrize(
    ("condition", "status"),
    [('"{}"', 206), ('W/"{}"', 200), ('"other"', 200), ("Wed, 21 Oct 2015 07:28:00 GMT", 200)],
)
def test_a_part_of_another_version_is_the_whole(
    server: Server, repo: str, condition: str, status: int
) -> None:
    digest = server.push_blob(repo, CONTENT)
    headers = {"Range": "bytes=0-1", "If-Range": condition.format(digest)}
    answer = server.ask("GET", f"/v2/{repo}/blobs/{digest}", headers=headers)
    assert answer.status == status
    assert answer.body == (CONTENT[:2] if status == 206 else CONTENT)


def test_an_unchanged_part_is_not_sent(server: Server, repo: str) -> None:
    digest = server.push_blob(repo, CONTENT)
    headers = {"Range": "bytes=0-1", "If-None-Match": f'"{digest}"'}
    assert server.ask("GET", f"/v2/{repo}/blobs/{digest}", headers=headers).status == 304


def test_any_range_of_an_empty_blob_is_the_blob(server: Server, repo: str) -> None:
    digest = server.push_blob(repo, b"")
    answer = server.ask("GET", f"/v2/{repo}/blobs/{digest}", headers={"Range": "bytes=0-"})
    assert (answer.status, answer.body) == (200, b"")


def test_nothing_is_compressed_on_its_way(server: Server, path: str) -> None:
    plain = server.ask("GET", path)
    answer = server.ask("GET", path, headers={"Accept-Encoding": "zstd, gzip, deflate, br"})
    assert (answer["Content-Encoding"], answer.body) == (None, plain.body)
