# SPDX-License-Identifier: Apache-2.0
"""Attacks on rules by the way in which a name is written; each is a request to a real server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.registry import OCI_IMAGE, Server, digest_of, htpasswd, running

USERS = {"admin": "a", "ci": "c"}
RULES = [
    {"users": ["admin"], "repositories": ["**"], "actions": ["pull", "push", "delete", "admin"]},
    {"users": ["ci"], "repositories": ["apps/*"], "actions": ["pull", "push", "delete"]},
]
SECRET = b"classified"
ENCODED_TWICE = "%2573ecret"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder: Path = tmp_path_factory.mktemp("names")
    (folder / "users").write_text(htpasswd(**USERS))
    config = {"auth": {"htpasswdFile": str(folder / "users")}, "access": {"rules": RULES}}
    with running(folder, config=config, login="admin:a") as server:
        server.push_image("apps/x", "v1", layer=b"common")
        server.push_image("secret", "v1", layer=SECRET)
        server.push_image("apps/x/deep", "v1", layer=SECRET)
        yield server


# How the name is written, and what a reader of `apps/*` is answered for its tag v1.
NAMES = [
    ("apps/x", 200),
    ("apps%2Fx", 200),
    ("apps%2fx", 200),
    ("%61pps/x", 200),
    ("secret", 403),
    ("%73ecret", 403),
    ("%73%65%63%72%65%74", 403),
    ("apps/x/deep", 403),
    ("apps%2Fx%2Fdeep", 403),
    (ENCODED_TWICE, 400),
    ("Secret", 400),
    ("SECRET", 400),
    ("APPS/x", 400),
    ("apps/X", 400),
    ("%53ecret", 400),
    ("secret/", 400),
    ("/secret", 400),
    ("secret.", 400),
    (".secret", 400),
    ("./secret", 400),
    ("apps/../secret", 400),
    ("apps/x/../../secret", 400),
    ("apps%2F..%2Fsecret", 400),
    ("apps/%2e%2e/secret", 400),
    ("apps/%252e%252e/secret", 400),
    ("apps/.%2e/secret", 400),
    ("apps/..;/secret", 400),
    ("apps\\..\\secret", 400),
    ("apps%5C..%5Csecret", 400),
    ("apps//x", 400),
    ("secret%00", 400),
    ("apps/x%00/../../secret", 400),
    ("secret%20", 400),
    ("secret%0a", 400),
    ("secret%0d%0a", 400),
    ("secret%e2%80%8b", 400),  # a space of no width
    ("secre%ef%bd%94", 400),  # a wide t
    ("secret%ff", 400),
    ("secret%c0%ae", 400),  # a dot, as no one may encode it
    ("*", 400),
    ("apps/*", 400),
    ("**", 400),
    ("%2a%2a", 400),
    ("", 400),
    ("apps/x/manifests/v1/../../../../secret", 400),
    ("apps/x/blobs/uploads/../../../secret", 400),
]


@pytest.mark.parametrize(("name", "status"), NAMES)
def test_a_name_opens_what_it_means_however_it_is_written(
    guarded: Server, name: str, status: int
) -> None:
    for method in ("GET", "HEAD", "DELETE"):
        tag = "v1" if method != "DELETE" else "absent"
        answer = guarded.ask(method, f"/v2/{name}/manifests/{tag}", login="ci:c")
        wanted = 404 if (method, status) == ("DELETE", 200) else status
        assert answer.status == wanted, (method, answer.body)
    for path in (f"blobs/{digest_of(SECRET)}", "tags/list", f"referrers/{digest_of(SECRET)}"):
        answer = guarded.ask("GET", f"/v2/{name}/{path}", login="ci:c")
        assert SECRET not in answer.body
        assert answer.status in ({200, 404} if status == 200 else {status})


@pytest.mark.parametrize("name", [name for name, status in NAMES if status != 200])
def test_nothing_is_written_under_a_name_of_others(guarded: Server, name: str) -> None:
    before = guarded.ask("GET", "/v2/_catalog").json
    kind = {"Content-Type": OCI_IMAGE}
    for method, path in (("PUT", "manifests/v1"), ("POST", "blobs/uploads/")):
        answer = guarded.ask(method, f"/v2/{name}/{path}", b"{}", kind, login="ci:c")
        assert answer.status in {400, 403, 404, 405}, answer.body
    assert guarded.ask("GET", "/v2/_catalog").json == before


@pytest.mark.parametrize("name", [name for name, status in NAMES if status != 200])
def test_no_blob_is_mounted_from_a_name_of_others(guarded: Server, name: str) -> None:
    """A client that names a repository that it may not read gets an upload, and no byte."""
    written = name.replace("&", "%26").replace("#", "%23")
    path = f"/v2/apps/mine/blobs/uploads/?mount={digest_of(SECRET)}&from={written}"
    assert guarded.ask("POST", path, login="ci:c").status == (400 if "%00" in name else 202)
    answer = guarded.ask("HEAD", f"/v2/apps/mine/blobs/{digest_of(SECRET)}", login="ci:c")
    assert answer.status == 404


@pytest.mark.parametrize(
    "path",
    [
        "//v2/secret/manifests/v1",
        "/v2//secret/manifests/v1",
        "/V2/secret/manifests/v1",
        "/v2/../v2/secret/manifests/v1",
        "/./v2/secret/manifests/v1",
        "/healthz/../v2/secret/manifests/v1",
        "/v2%2fsecret/manifests/v1",
        "/v2/secret%2fmanifests%2fv1",
        "/v2/secret/manifests/v1;x=y",
        "/v2/secret/manifests/v1/",
        "/v2/apps/x/manifests/../../secret/manifests/v1",
        "/v2/apps/x/manifests/..%2f..%2fsecret%2fmanifests%2fv1",
        "/v2/secret/manifests/v1?repository=apps/x",
        "/v2/secret/manifests/v1?name=apps/x",
        "http://apps/x/v2/secret/manifests/v1",
        "/cais/v1/../../v2/secret/manifests/v1",
        "/cais/v1/config",
        "/cais/v1/config/",
        "/cais/v1/deleted?repository=apps/x",
        "/cais%2fv1/config",
    ],
)
def test_no_other_way_leads_past_the_rules(guarded: Server, path: str) -> None:
    answer = guarded.ask("GET", path, login="ci:c")
    assert answer.status in {400, 403, 404}, answer.body
    assert SECRET not in answer.body
    assert b"layers" not in answer.body


@pytest.mark.parametrize("query", ["", "?n=1", "?last=r", "?n=1000&last=apps/x", "?last=%00"])
def test_listings_tell_nothing_of_forbidden_repositories(guarded: Server, query: str) -> None:
    answer = guarded.ask("GET", f"/v2/_catalog{query}", login="ci:c")
    for word in (b"secret", b"deep"):
        assert word not in answer.body
        assert word.decode() not in str(answer.headers)


def test_an_upload_of_another_user_or_repository_is_unknown_to_everything(guarded: Server) -> None:
    """Quay CVE-2026-32589: whoever knew its id could use it."""
    location = guarded.ask("POST", "/v2/apps/x/blobs/uploads/", login="ci:c")["Location"] or ""
    upload = location.rpartition("/")[2]
    last = f"?digest={digest_of(b'abc')}"
    thieves = [
        ("admin:a", location),
        ("admin:a", f"/v2/secret/blobs/uploads/{upload}"),
        ("ci:c", f"/v2/apps/other/blobs/uploads/{upload}"),
        ("ci:c", f"/v2/apps/x/blobs/uploads/{'0' * len(upload)}"),
    ]
    for login, path in thieves:
        for method, query in (("GET", ""), ("PATCH", ""), ("PUT", last), ("DELETE", "")):
            answer = guarded.ask(method, path + query, b"abc", login=login)
            assert (answer.status, answer.code) == (404, "BLOB_UPLOAD_UNKNOWN")
    assert guarded.ask("PATCH", location, b"abc", login="ci:c").status == 202
    assert guarded.ask("PUT", location + last, login="ci:c").status == 201
