# SPDX-License-Identifier: Apache-2.0
"""Kinds of manifests: all that people keep in registries is taken, and given back as it came."""

from __future__ import annotations

import json
from typing import Any

import pytest

from support.registry import OCI_IMAGE, OCI_INDEX, Answer, Server, digest_of

DOCKER_IMAGE = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
SCHEMA_1 = "application/vnd.docker.distribution.manifest.v1"
CACHE = "application/vnd.buildkit.cacheconfig.v0"
LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"


def descriptor(kind: str, content: bytes, **more: Any) -> dict[str, Any]:
    return {"mediaType": kind, "digest": digest_of(content), "size": len(content), **more}


def push(server: Server, repo: str, reference: str, document: Any, kind: str | None) -> Answer:
    content = document if isinstance(document, bytes) else json.dumps(document).encode()
    headers = {} if kind is None else {"Content-Type": kind}
    return server.ask("PUT", f"/v2/{repo}/manifests/{reference}", content, headers)


def image(server: Server, repo: str, kind: str = OCI_IMAGE, **more: Any) -> dict[str, Any]:
    server.push_blob(repo, b"{}")
    server.push_blob(repo, b"layer")
    return {
        "schemaVersion": 2,
        "mediaType": kind,
        "config": descriptor("application/vnd.oci.image.config.v1+json", b"{}"),
        "layers": [descriptor(LAYER, b"layer")],
        **more,
    }


ACCEPTS = [
    None,
    "*/*",
    "",
    "text/html",
    f"{SCHEMA_1}+prettyjws",
    f"{DOCKER_IMAGE}, {DOCKER_LIST}",
    OCI_IMAGE,
    OCI_INDEX,
]


@pytest.mark.parametrize("kind", [OCI_IMAGE, DOCKER_IMAGE])
def test_bytes_come_back_as_they_were_pushed_whatever_is_accepted(
    server: Server, repo: str, kind: str
) -> None:
    content = json.dumps(image(server, repo, kind), indent=7).encode() + b" \n"
    assert push(server, repo, "v1", content, kind).status == 201
    for accept in ACCEPTS:
        headers = {} if accept is None else {"Accept": accept}
        for reference in ("v1", digest_of(content)):
            got = server.ask("GET", f"/v2/{repo}/manifests/{reference}", headers=headers)
            assert (got.status, got["Content-Type"], got.body) == (200, kind, content)


@pytest.mark.parametrize("kind", [OCI_INDEX, DOCKER_LIST])
def test_an_index_is_never_answered_with_one_of_its_images(
    server: Server, repo: str, kind: str
) -> None:
    child = server.push_image(repo, "child")
    size = int(server.ask("HEAD", f"/v2/{repo}/manifests/child")["Content-Length"] or 0)
    entry = {"mediaType": DOCKER_IMAGE, "digest": child, "size": size}
    entry["platform"] = {"os": "linux", "architecture": "amd64"}
    index = {"schemaVersion": 2, "mediaType": kind, "manifests": [entry]}
    assert push(server, repo, "all", index, kind).status == 201
    for accept in ACCEPTS[1:]:
        got = server.ask("GET", f"/v2/{repo}/manifests/all", headers={"Accept": str(accept)})
        assert (got.status, got.json) == (200, index)


@pytest.mark.parametrize("suffix", ["+json", "+prettyjws"])
def test_schema_1_is_refused_and_the_client_is_told_why(
    server: Server, repo: str, suffix: str
) -> None:
    document = {"schemaVersion": 1, "name": repo, "tag": "v1", "fsLayers": [], "history": []}
    for kind in (SCHEMA_1 + suffix, DOCKER_IMAGE, "application/json"):
        answer = push(server, repo, "v1", document, kind)
        assert (answer.status, answer.code) == (400, "MANIFEST_INVALID")
        assert "schema 1" in answer.json["errors"][0]["message"]
    assert server.ask("GET", f"/v2/{repo}/manifests/v1").status == 404


def test_manifests_and_blobs_of_sha512_go_there_and_back(server: Server, repo: str) -> None:
    parts = {name: digest_of(name, "sha512") for name in (b"config", b"layer")}
    for content, digest in parts.items():
        begun = server.ask("POST", f"/v2/{repo}/blobs/uploads/?digest-algorithm=sha512")
        ended = server.ask("PUT", f"{begun['Location']}?digest={digest}", content)
        assert (ended.status, ended["Docker-Content-Digest"]) == (201, digest)
    document = {
        "schemaVersion": 2,
        "mediaType": OCI_IMAGE,
        "config": descriptor("a/b", b"config") | {"digest": parts[b"config"]},
        "layers": [descriptor("a/b", b"layer") | {"digest": parts[b"layer"]}],
    }
    content = json.dumps(document).encode()
    digest = digest_of(content, "sha512")
    answer = push(server, repo, f"{digest}?tag=v1&tag=v2", document, OCI_IMAGE)
    assert (answer.status, answer["Docker-Content-Digest"]) == (201, digest)
    for reference in (digest, "v1", "v2"):
        got = server.ask("GET", f"/v2/{repo}/manifests/{reference}")
        assert (got.body, got["Docker-Content-Digest"]) == (content, digest)
    assert server.ask("GET", f"/v2/{repo}/referrers/{digest}").json["manifests"] == []
    assert server.ask("DELETE", f"/v2/{repo}/manifests/{digest}").status == 202
    assert server.ask("GET", f"/v2/{repo}/manifests/v1").status == 404


@pytest.mark.parametrize(
    ("config", "layer", "artifact"),
    [
        ("application/vnd.cncf.helm.config.v1+json", "application/x.chart.content+gzip", None),
        (CACHE, "application/vnd.oci.image.layer.v1.tar+zstd", None),
        ("application/vnd.oci.empty.v1+json", "text/plain", "application/vnd.nobody.knows+x"),
    ],
)
def test_types_that_nobody_told_us_of_are_taken(
    server: Server, repo: str, config: str, layer: str, artifact: str | None
) -> None:
    document = image(server, repo)
    document["config"]["mediaType"] = config
    document["layers"][0]["mediaType"] = layer
    if artifact:
        document["artifactType"] = artifact
    assert push(server, repo, "v1", document, OCI_IMAGE).status == 201


def test_a_manifest_of_a_type_that_nobody_told_us_of_is_taken(server: Server, repo: str) -> None:
    kind = "application/vnd.example.thing.v7+json"
    document = {"mediaType": kind, "blobs": [descriptor("a/b", b"{}")], "anything": [1]}
    missing = push(server, repo, "v1", document, kind)
    assert (missing.status, missing.code) == (404, "MANIFEST_BLOB_UNKNOWN")
    server.push_blob(repo, b"{}")
    assert push(server, repo, "v1", document, kind).status == 201
    assert server.ask("GET", f"/v2/{repo}/manifests/v1")["Content-Type"] == kind


@pytest.mark.parametrize("kind", [OCI_INDEX, DOCKER_LIST])
def test_an_index_whose_entries_are_layers_is_taken(server: Server, repo: str, kind: str) -> None:
    """As old build caches are: the entries are blobs, the last one a configuration."""
    parts = (b"one", b"two", b"cache config")
    for part in parts:
        server.push_blob(repo, part)
    entries = [descriptor(LAYER, part) for part in parts[:2]] + [descriptor(CACHE, parts[2])]
    index = {"schemaVersion": 2, "mediaType": kind, "manifests": entries}
    assert push(server, repo, "cache", index, kind).status == 201
    assert server.ask("GET", f"/v2/{repo}/manifests/cache").json == index
    for part in parts:
        assert server.ask("DELETE", f"/v2/{repo}/blobs/{digest_of(part)}").status == 405
        assert server.ask("GET", f"/v2/{repo}/blobs/{digest_of(part)}").body == part


def test_a_subject_may_be_missing_and_come_later(server: Server, repo: str) -> None:
    subject = json.dumps(image(server, repo, annotations={"n": "1"})).encode()
    signature = image(server, repo, subject=descriptor(OCI_IMAGE, subject))
    answer = push(server, repo, "sig", signature, OCI_IMAGE)
    assert (answer.status, answer["OCI-Subject"]) == (201, digest_of(subject))
    for _ in range(2):
        found = server.ask("GET", f"/v2/{repo}/referrers/{digest_of(subject)}").json["manifests"]
        assert [one["digest"] for one in found] == [answer["Docker-Content-Digest"]]
        assert push(server, repo, "v1", subject, OCI_IMAGE).status == 201
    assert server.ask("DELETE", f"/v2/{repo}/manifests/{digest_of(subject)}").status == 202
    found = server.ask("GET", f"/v2/{repo}/referrers/{digest_of(subject)}").json["manifests"]
    assert len(found) == 1


@pytest.mark.parametrize("more", [{"urls": ["https://example.com/layer"]}, {"data": "bm9uZQ=="}])
def test_what_is_elsewhere_or_in_the_manifest_itself_need_not_be_here(
    server: Server, repo: str, more: dict[str, Any]
) -> None:
    document = image(server, repo)
    document["layers"].append(descriptor(LAYER, b"none", **more))
    assert push(server, repo, "v1", document, OCI_IMAGE).status == 201


def test_manifests_without_content_are_taken(server: Server, repo: str) -> None:
    empty = image(server, repo, layers=[])
    assert push(server, repo, "image", empty, OCI_IMAGE).status == 201
    index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}
    assert push(server, repo, "index", index, OCI_INDEX).status == 201
    inner = descriptor(OCI_INDEX, json.dumps(index).encode())
    nested = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [inner]}
    assert push(server, repo, "nested", nested, OCI_INDEX).status == 201


def test_a_tag_changes_its_kind(server: Server, repo: str) -> None:
    for kind in (DOCKER_IMAGE, OCI_IMAGE, DOCKER_IMAGE):
        assert push(server, repo, "v1", image(server, repo, kind), kind).status == 201
        assert server.ask("HEAD", f"/v2/{repo}/manifests/v1")["Content-Type"] == kind
    index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}
    assert push(server, repo, "v1", index, OCI_INDEX).status == 201
    assert server.ask("HEAD", f"/v2/{repo}/manifests/v1")["Content-Type"] == OCI_INDEX


def test_the_type_may_be_told_by_the_body_alone(server: Server, repo: str) -> None:
    assert push(server, repo, "v1", image(server, repo, DOCKER_IMAGE), None).status == 201
    assert server.ask("HEAD", f"/v2/{repo}/manifests/v1")["Content-Type"] == DOCKER_IMAGE


def test_what_a_manifest_lacks_is_listed(server: Server, repo: str) -> None:
    document = image(server, repo)
    document["layers"] += [descriptor(LAYER, bytes([n])) for n in range(3)]
    answer = push(server, repo, "v1", document, OCI_IMAGE)
    assert (answer.status, answer.code) == (404, "MANIFEST_BLOB_UNKNOWN")
    found = [one["digest"] for one in answer.json["errors"][0]["detail"]]
    assert sorted(found) == sorted(digest_of(bytes([n])) for n in range(3))
