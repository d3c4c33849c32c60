# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from typing import Any

import pytest

from support.registry import OCI_IMAGE, OCI_INDEX, Server, digest_of

DOCKER_IMAGE = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"


def descriptor(kind: str, digest: str, size: int, **more: Any) -> dict[str, Any]:
    return {"mediaType": kind, "digest": digest, "size": size, **more}


def test_a_manifest_comes_back_byte_for_byte(server: Server, repo: str) -> None:
    config = server.push_blob(repo, b"{}")
    text = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": DOCKER_IMAGE,
            "config": descriptor("application/vnd.docker.container.image.v1+json", config, 2),
            "layers": [],
            "later-field": [1.0, "x"],
        },
        indent=3,
    ).encode()
    path = f"/v2/{repo}/manifests/v1"
    put = server.ask("PUT", path, text, {"Content-Type": DOCKER_IMAGE})
    digest = digest_of(text)
    assert put.status == 201
    assert put["Location"] == f"/v2/{repo}/manifests/{digest}"
    assert put["Docker-Content-Digest"] == digest
    for reference, cache in (("v1", "no-cache"), (digest, "immutable")):
        got = server.ask("GET", f"/v2/{repo}/manifests/{reference}", headers={"Accept": "x/y"})
        head = server.ask("HEAD", f"/v2/{repo}/manifests/{reference}")
        assert got.body == text
        assert head["Content-Length"] == str(len(text))
        for answer in (got, head):
            assert answer.status == 200
            assert answer["Content-Type"] == DOCKER_IMAGE
            assert answer["Docker-Content-Digest"] == digest
            assert answer["ETag"] == f'"{digest}"'
            assert cache in (answer["Cache-Control"] or "")
            assert answer["Docker-Distribution-Api-Version"] == "registry/2.0"
            assert answer["X-Content-Type-Options"] == "nosniff"
    same = server.ask("GET", path, headers={"If-None-Match": f'"{digest}"'})
    assert (same.status, same.body) == (304, b"")


@pytest.mark.parametrize("kind", [OCI_INDEX, DOCKER_LIST])
def test_an_index_of_two_platforms(server: Server, repo: str, kind: str) -> None:
    children = [server.push_image(repo, f"p{n}", layer=bytes([n])) for n in (1, 2)]
    sizes = [
        int(server.ask("HEAD", f"/v2/{repo}/manifests/{child}")["Content-Length"] or 0)
        for child in children
    ]
    entries = [
        descriptor(OCI_IMAGE, child, size, platform={"os": "linux", "architecture": arch})
        for child, size, arch in zip(children, sizes, ("amd64", "arm64"), strict=True)
    ]
    index = {"schemaVersion": 2, "mediaType": kind, "manifests": entries}
    digest = server.push_manifest(repo, "all", index)
    assert server.ask("GET", f"/v2/{repo}/manifests/all").json == index
    assert server.ask("DELETE", f"/v2/{repo}/manifests/{children[0]}").status == 405
    assert server.ask("DELETE", f"/v2/{repo}/manifests/{digest}").status == 202


def test_deleting_a_tag_leaves_its_siblings(server: Server, repo: str) -> None:
    digest = server.push_image(repo, "one")
    content = server.ask("GET", f"/v2/{repo}/manifests/one").body
    server.ask("PUT", f"/v2/{repo}/manifests/two", content, {"Content-Type": OCI_IMAGE})
    assert server.ask("DELETE", f"/v2/{repo}/manifests/one").status == 202
    assert server.ask("GET", f"/v2/{repo}/manifests/one").code == "MANIFEST_UNKNOWN"
    assert server.ask("GET", f"/v2/{repo}/manifests/two").status == 200
    assert server.ask("DELETE", f"/v2/{repo}/manifests/{digest}").status == 202
    assert server.ask("GET", f"/v2/{repo}/manifests/two").status == 404
    assert server.ask("GET", f"/v2/{repo}/manifests/{digest}").status == 404


def test_one_push_sets_many_tags(server: Server, repo: str) -> None:
    server.push_image(repo, "first")
    content = server.ask("GET", f"/v2/{repo}/manifests/first").body
    tags = [f"v1.{n}" for n in range(12)]
    query = "&".join(f"tag={tag}" for tag in tags)
    path = f"/v2/{repo}/manifests/{digest_of(content)}?{query}"
    answer = server.ask("PUT", path, content, {"Content-Type": OCI_IMAGE})
    assert answer.status == 201
    assert (answer["OCI-Tag"] or "").split(", ") == tags
    found = server.ask("GET", f"/v2/{repo}/tags/list").json["tags"]
    assert set(found) == {*tags, "first"}
    too_many = "&".join(f"tag=t{n}" for n in range(101))
    path = f"/v2/{repo}/manifests/{digest_of(content)}?{too_many}"
    assert server.ask("PUT", path, content, {"Content-Type": OCI_IMAGE}).status == 414


def test_tags_are_listed_in_pages(server: Server, repo: str) -> None:
    tags = sorted(["a", "b", "B", "a-1", "a1", "z", "latest"])
    for tag in tags:
        server.push_image(repo, tag)
    assert server.ask("GET", f"/v2/{repo}/tags/list").json == {"name": repo, "tags": tags}
    found, path = [], f"/v2/{repo}/tags/list?n=3"
    while path:
        page = server.ask("GET", path)
        assert len(page.json["tags"]) <= 3
        found += page.json["tags"]
        link = page["Link"] or ""
        path = link[1 : link.index(">")] if link else ""
        assert link == "" or link.endswith('; rel="next"')
    assert found == tags
    last = server.ask("GET", f"/v2/{repo}/tags/list?last=a0")
    assert last.json["tags"] == [tag for tag in tags if tag > "a0"]
    nothing = server.ask("GET", f"/v2/{repo}/tags/list?n=0")
    assert nothing.json["tags"] == []
    assert nothing["Link"] is None


@pytest.mark.parametrize("n", ["-1", "x", "1.5", "%D9%A3"])
def test_a_page_size_that_is_no_number_is_refused(server: Server, repo: str, n: str) -> None:
    server.push_image(repo, "v1")
    answer = server.ask("GET", f"/v2/{repo}/tags/list?n={n}")
    assert (answer.status, answer.code) == (400, "PAGINATION_NUMBER_INVALID")


def test_a_huge_page_size_is_cut(server: Server, repo: str) -> None:
    server.push_image(repo, "v1")
    answer = server.ask("GET", f"/v2/{repo}/tags/list?n={10**30}")
    assert answer.json["tags"] == ["v1"]


def test_an_unknown_repository_has_no_tags(server: Server, repo: str) -> None:
    answer = server.ask("GET", f"/v2/{repo}/tags/list")
    assert (answer.status, answer.code) == (404, "NAME_UNKNOWN")


def test_the_catalog_lists_repositories_in_pages(server: Server, repo: str) -> None:
    names = [f"{repo}/{letter}" for letter in "abc"]
    for name in names:
        server.push_image(name, "v1")
    found, path = [], "/v2/_catalog?n=2"
    while path:
        page = server.ask("GET", path)
        found += page.json["repositories"]
        link = page["Link"] or ""
        path = link[1 : link.index(">")] if link else ""
    assert [name for name in found if name.startswith(repo)] == names
    assert found == sorted(found)


def test_referrers_are_listed_and_filtered(server: Server, repo: str) -> None:
    subject = server.push_image(repo, "v1")
    size = int(server.ask("HEAD", f"/v2/{repo}/manifests/v1")["Content-Length"] or 0)
    empty = server.push_blob(repo, b"{}")
    signatures = []
    for kind in ("application/sig", "application/sbom"):
        manifest = {
            "schemaVersion": 2,
            "mediaType": OCI_IMAGE,
            "artifactType": kind,
            "config": descriptor("application/vnd.oci.empty.v1+json", empty, 2),
            "layers": [descriptor("application/vnd.oci.empty.v1+json", empty, 2)],
            "subject": descriptor(OCI_IMAGE, subject, size),
            "annotations": {"of": kind},
        }
        content = json.dumps(manifest).encode()
        digest = digest_of(content)
        path = f"/v2/{repo}/manifests/{digest}"
        answer = server.ask("PUT", path, content, {"Content-Type": OCI_IMAGE})
        assert answer["OCI-Subject"] == subject
        signatures.append(
            descriptor(OCI_IMAGE, digest, len(content), artifactType=kind, annotations={"of": kind})
        )
    everything = server.ask("GET", f"/v2/{repo}/referrers/{subject}")
    assert everything["Content-Type"] == OCI_INDEX
    assert everything["OCI-Filters-Applied"] is None
    by_digest = sorted(signatures, key=lambda found: found["digest"])
    assert everything.json["manifests"] == by_digest
    some = server.ask("GET", f"/v2/{repo}/referrers/{subject}?artifactType=application/sig")
    assert some["OCI-Filters-Applied"] == "artifactType"
    assert some.json["manifests"] == signatures[:1]


def test_referrers_of_the_unknown_are_an_empty_index(server: Server, repo: str) -> None:
    answer = server.ask("GET", f"/v2/{repo}/referrers/{digest_of(b'nothing')}")
    assert answer.status == 200
    assert answer.json == {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}
