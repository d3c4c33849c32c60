# SPDX-License-Identifier: Apache-2.0
"""What refers to an image: by its own word, or by the list that older clients keep under a tag."""

from __future__ import annotations

import json
from typing import Any

import pytest

from support.registry import OCI_IMAGE, OCI_INDEX, Server, digest_of

KIND = "application/vnd.example.signature.v1+json"


def referrer(server: Server, repo: str, n: int, **more: Any) -> dict[str, Any]:
    """Push an artifact; returns its descriptor as a listing has it."""
    server.push_blob(repo, b"{}")
    kind = "application/vnd.oci.empty.v1+json"
    empty = {"mediaType": kind, "digest": digest_of(b"{}"), "size": 2}
    annotations = {"n": str(n)}
    manifest = {
        "schemaVersion": 2,
        "mediaType": OCI_IMAGE,
        "artifactType": KIND,
        "config": empty,
        "layers": [empty],
        "annotations": annotations,
        **more,
    }
    content = json.dumps(manifest).encode()
    digest = server.push_manifest(repo, digest_of(content), manifest)
    return {
        "mediaType": OCI_IMAGE,
        "digest": digest,
        "size": len(content),
        "artifactType": KIND,
        "annotations": annotations,
    }


def listed(server: Server, repo: str, subject: str, query: str = "") -> list[dict[str, Any]]:
    answer = server.ask("GET", f"/v2/{repo}/referrers/{subject}{query}")
    assert (answer.status, answer["Content-Type"], answer["Link"]) == (200, OCI_INDEX, None)
    manifests: list[dict[str, Any]] = answer.json["manifests"]
    return manifests


def index_of(*entries: dict[str, Any]) -> dict[str, Any]:
    return {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": list(entries)}


def test_a_list_under_the_tag_of_the_subject_is_merged_in(server: Server, repo: str) -> None:
    subject = server.push_image(repo, "v1")
    size = int(server.ask("HEAD", f"/v2/{repo}/manifests/v1")["Content-Length"] or 0)
    points = {"subject": {"mediaType": OCI_IMAGE, "digest": subject, "size": size}}
    says_so, silent = referrer(server, repo, 1, **points), referrer(server, repo, 2)
    lies = silent | {"artifactType": "text/evil", "annotations": {"n": "lie"}}
    tag = subject.replace(":", "-")
    server.push_manifest(repo, tag, index_of(says_so, lies))
    both = sorted([says_so, silent], key=lambda one: str(one["digest"]))
    assert listed(server, repo, subject) == both
    assert listed(server, repo, subject, f"?artifactType={KIND.replace('+', '%2B')}") == both
    assert listed(server, repo, subject, "?artifactType=text/evil") == []
    assert tag in server.ask("GET", f"/v2/{repo}/tags/list").json["tags"]
    assert server.ask("DELETE", f"/v2/{repo}/manifests/{tag}").status == 202
    assert listed(server, repo, subject) == [says_so]


def test_a_list_says_nothing_of_other_repositories(server: Server, repo: str) -> None:
    subject = server.push_image(repo, "v1")
    silent = referrer(server, repo, 1)
    tag = subject.replace(":", "-")
    elsewhere = f"{repo}-elsewhere"
    referrer(server, elsewhere, 1)
    server.push_manifest(elsewhere, tag, index_of(silent))
    assert listed(server, repo, subject) == []
    assert listed(server, elsewhere, subject) == [silent]


def test_a_plain_image_under_such_a_tag_is_no_list(server: Server, repo: str) -> None:
    subject = server.push_image(repo, "v1")
    server.push_image(repo, subject.replace(":", "-"), layer=b"other")
    server.push_image(repo, subject.replace(":", "-") + ".sig", layer=b"signature")
    assert listed(server, repo, subject) == []


@pytest.mark.parametrize("kind", [KIND, KIND.replace("+", "%2B")])
def test_a_filter_with_a_plus_that_is_not_escaped_is_understood(
    server: Server, repo: str, kind: str
) -> None:
    subject = digest_of(b"not here")
    points = {"subject": {"mediaType": OCI_IMAGE, "digest": subject, "size": 8}}
    one = referrer(server, repo, 1, **points)
    answer = server.ask("GET", f"/v2/{repo}/referrers/{subject}?artifactType={kind}")
    assert answer.json["manifests"] == [one]
    assert answer["OCI-Filters-Applied"] == "artifactType"


def test_many_referrers_come_in_pages_that_keep_the_filter(server: Server, repo: str) -> None:
    subject = digest_of(b"not here")
    points = {"subject": {"mediaType": OCI_IMAGE, "digest": subject, "size": 8}}
    wanted = {str(referrer(server, repo, n, **points)["digest"]) for n in range(205)}
    referrer(server, repo, 999, artifactType="text/other", **points)
    seen: list[str] = []
    path = f"/v2/{repo}/referrers/{subject}?artifactType={KIND.replace('+', '%2B')}"
    pages = 0
    while path:
        page = server.ask("GET", path)
        assert page["OCI-Filters-Applied"] == "artifactType"
        seen += [one["digest"] for one in page.json["manifests"]]
        link = page["Link"] or ""
        path = link[1 : link.index(">")] if link else ""
        pages += 1
    assert (pages, seen) == (2, sorted(wanted))
