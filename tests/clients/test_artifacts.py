# SPDX-License-Identifier: Apache-2.0
"""Clients that keep other things than images in a registry: files, charts, signatures."""

from __future__ import annotations

import json
from typing import Any

import pytest

from support.layout import make_image
from support.registry import wait_until


def test_oras_attaches_files_to_an_image_and_finds_them(place: Any) -> None:
    digest = make_image(place.folder / "source", "hello")
    image = f"{place.host}/team/hello"
    place.run("oras", "cp", "--from-oci-layout", f"{place.folder / 'source'}:v1", f"{image}:v1")
    (place.folder / "sbom.json").write_text('{"parts": []}')
    kind = "application/vnd.example.sbom"
    place.run("oras", "attach", "--artifact-type", kind, f"{image}:v1", "sbom.json:text/plain")
    found = json.loads(place.run("oras", "discover", "--format", "json", f"{image}:v1"))
    (referrer,) = found.get("referrers") or found["manifests"]
    assert referrer["artifactType"] == kind
    out = place.folder / "out"
    place.run("oras", "pull", "--output", out, f"{image}@{referrer['digest']}")
    assert (out / "sbom.json").read_text() == '{"parts": []}'
    place.run("oras", "manifest", "delete", "--force", f"{image}@{referrer['digest']}")
    answer = place.server.ask("GET", f"/v2/team/hello/referrers/{digest}")
    assert answer.json["manifests"] == []


def test_oras_keeps_files_of_any_kind(place: Any) -> None:
    reference = f"{place.host}/team/files:v1"
    (place.folder / "notes.txt").write_text("hello")
    kind = ("--artifact-type", "application/vnd.example.notes")
    place.run("oras", "push", *kind, reference, "notes.txt:text/plain")
    digest = place.run("oras", "resolve", reference).strip()
    assert place.digest("team/files", "v1") == digest
    out = place.folder / "out"
    place.run("oras", "pull", "--output", out, reference)
    assert (out / "notes.txt").read_text() == "hello"
    assert place.run("oras", "repo", "tags", f"{place.host}/team/files") == "v1\n"
    place.run("oras", "manifest", "delete", "--force", reference)
    assert place.digest("team/files", "v1") is None


def test_clients_show_people_what_an_administrator_should_hear(place: Any) -> None:
    make_image(place.folder / "source", "hello")
    image = f"{place.host}/team/hello"
    (place.folder / "users").write_text("broken")
    says = "does not take a changed file"
    wait_until(
        lambda: says in str(place.server.ask("GET", "/v2/")["Warning"]), what="it is noticed"
    )
    source = place.folder / "source"
    assert says in place.shown("oras", "cp", "--from-oci-layout", f"{source}:v1", f"{image}:v1")
    assert says in place.shown("regctl", "image", "copy", f"ocidir://{source}:v1", f"{image}:v2")


def test_helm_keeps_charts_whose_versions_have_a_plus(place: Any) -> None:
    chart = place.folder / "app"
    (chart / "templates").mkdir(parents=True)
    (chart / "Chart.yaml").write_text("apiVersion: v2\nname: app\nversion: 1.2.3+build.7\n")
    place.run("helm", "package", chart)
    package = place.folder / "app-1.2.3+build.7.tgz"
    registry = f"oci://{place.host}/charts"
    login = ("--registry-config", place.folder / "home" / "config.json", "--ca-file", place.ca)
    pushed = place.shown("helm", "push", package, registry, *login)
    digest = place.digest("charts/app", "1.2.3_build.7")
    assert digest is not None
    assert f"Digest: {digest}" in pushed
    out = place.folder / "out"
    out.mkdir()
    where = ("--version", "1.2.3+build.7", "--destination", out)
    assert f"Digest: {digest}" in place.shown("helm", "pull", f"{registry}/app", *where, *login)
    assert (out / package.name).read_bytes() == package.read_bytes()
    place.run("crane", "delete", f"{place.host}/charts/app:1.2.3_build.7")
    assert place.digest("charts/app", "1.2.3_build.7") is None


@pytest.mark.parametrize("referrers", [True, False], ids=["as a referrer", "as a tag"])
def test_cosign_signs_and_verifies(place: Any, *, referrers: bool) -> None:
    digest = make_image(place.folder / "source", "hello")
    repository = f"{place.host}/team/hello"
    place.run("crane", "push", place.folder / "source", f"{repository}:v1")
    secret = {"COSIGN_PASSWORD": "made-up"}
    place.run("cosign", "generate-key-pair", **secret)
    offline = ("--tlog-upload=false", "--use-signing-config=false", "--yes")
    shape = f"--new-bundle-format={str(referrers).lower()}"
    image = f"{repository}@{digest}"
    place.run("cosign", "sign", "--key", "cosign.key", *offline, shape, image, **secret)
    check = ("--key", "cosign.pub", "--insecure-ignore-tlog=true", shape)
    assert digest in place.run("cosign", "verify", *check, image)
    tag = digest.replace(":", "-") + ("" if referrers else ".sig")
    found = place.server.ask("GET", f"/v2/team/hello/referrers/{digest}").json["manifests"]
    assert (len(found), place.digest("team/hello", tag)) == (1, None) if referrers else found == []
    assert referrers or place.digest("team/hello", tag) is not None
    signature = f"@{found[0]['digest']}" if referrers else f":{tag}"
    place.run("crane", "delete", f"{repository}{signature}")
    place.shown("cosign", "verify", *check, image, fails=True)
    assert place.server.ask("GET", f"/v2/team/hello/referrers/{digest}").json["manifests"] == []
