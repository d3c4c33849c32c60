# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from cais_registry.http import router
from cais_registry.http.errors import MethodNotAllowed, NoSuchPage
from cais_registry.model.digest import Digest, UploadId
from cais_registry.model.errors import (
    BlobUploadUnknown,
    DigestInvalid,
    NameInvalid,
    RegistryError,
    TagInvalid,
)
from cais_registry.model.names import RepoName, Tag

HEX = "a" * 64
DIGEST = Digest.parse(f"sha256:{HEX}")
UPLOAD = UploadId.parse("0123456789abcdef" * 2)


def repo(name: str) -> RepoName:
    return RepoName.parse(name)


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/v2/", router.Ping()),
        ("GET", "/v2", router.Ping()),
        ("GET", "/v2/_catalog", router.Catalog()),
        ("GET", f"/v2/a/b/blobs/sha256:{HEX}", router.BlobPath(repo("a/b"), DIGEST)),
        ("GET", f"/v2/a/blobs/sha256%3A{HEX}", router.BlobPath(repo("a"), DIGEST)),
        ("GET", f"/v2/a%2Fb/blobs/sha256:{HEX}", router.BlobPath(repo("a/b"), DIGEST)),
        ("GET", f"/v2/x/blobs/y/blobs/sha256:{HEX}", router.BlobPath(repo("x/blobs/y"), DIGEST)),
        ("POST", "/v2/a/blobs/uploads/", router.UploadsPath(repo("a"))),
        ("POST", "/v2/a/blobs/uploads", router.UploadsPath(repo("a"))),
        ("PATCH", f"/v2/a/blobs/uploads/{UPLOAD}", router.UploadPath(repo("a"), UPLOAD)),
        ("GET", "/v2/a/manifests/v1", router.ManifestPath(repo("a"), Tag.parse("v1"))),
        ("GET", f"/v2/a/manifests/sha256:{HEX}", router.ManifestPath(repo("a"), DIGEST)),
        ("GET", "/v2/tags/list/tags/list", router.TagsPath(repo("tags/list"))),
        ("GET", "/v2/a/manifests/b/tags/list", router.TagsPath(repo("a/manifests/b"))),
        (
            "GET",
            "/v2/a/blobs/uploads/manifests/v1",
            router.ManifestPath(repo("a/blobs/uploads"), Tag.parse("v1")),
        ),
        ("GET", "/v2/tags/manifests/list", router.ManifestPath(repo("tags"), Tag.parse("list"))),
        ("GET", f"/v2/a/referrers/sha256:{HEX}", router.ReferrersPath(repo("a"), DIGEST)),
        ("GET", "/v2/" + "a/" * 20 + "a/tags/list", router.TagsPath(repo("a/" * 20 + "a"))),
        ("GET", "/healthz", router.Probe("healthz")),
        ("HEAD", "/readyz", router.Probe("readyz")),
        ("GET", "/metrics", router.Probe("metrics")),
        ("POST", "/cais/v1/gc", router.AdminPath("gc")),
        ("GET", "/cais/v1/gc/abc", router.AdminPath("gc", "abc")),
        ("GET", "/cais/v1/gc/abc/report", router.AdminPath("gc", "abc", "report")),
        ("GET", "/cais/v1/usage", router.AdminPath("usage")),
        ("GET", "/cais/v1/config", router.AdminPath("config")),
    ],
)
def test_paths(method: str, path: str, expected: router.Path) -> None:
    assert router.parse(method, path) == expected


@pytest.mark.parametrize(
    ("method", "path", "error"),
    [
        ("GET", "/", NoSuchPage),
        ("GET", "/v1/", NoSuchPage),
        ("GET", "/v2/a", NoSuchPage),
        ("GET", "/v2/tags/list", NoSuchPage),
        ("GET", "/v2/a/tags/list/x", NoSuchPage),
        ("GET", "/cais/v1/", NoSuchPage),
        ("GET", "/cais/v1/usage/x", NoSuchPage),
        ("GET", "/cais/v1/gc/", NoSuchPage),
        ("GET", "/cais/v1/gc/abc/", NoSuchPage),
        ("GET", "/cais/v1/gc/abc/lines", NoSuchPage),
        ("GET", "/cais/v1/gc/abc/report/x", NoSuchPage),
        ("GET", "/v2/A/tags/list", NameInvalid),
        ("GET", "/v2/a//b/tags/list", NameInvalid),
        ("GET", "/v2/../../etc/manifests/v1", NameInvalid),
        ("GET", "/v2/a%00/tags/list", NameInvalid),
        ("GET", "/v2/" + "a" * 256 + "/tags/list", NameInvalid),
        ("GET", "/v2/a/blobs/sha256:ABC", DigestInvalid),
        ("GET", "/v2/a/blobs/", DigestInvalid),
        ("GET", "/v2/a/blobs/md5:" + "a" * 32, DigestInvalid),
        ("GET", "/v2/a/manifests/-x", TagInvalid),
        ("GET", "/v2/a/manifests/a/b", TagInvalid),
        ("GET", "/v2/a/manifests/" + "a" * 129, TagInvalid),
        ("PATCH", "/v2/a/blobs/uploads/..", BlobUploadUnknown),
        ("POST", "/v2/", MethodNotAllowed),
        ("PUT", f"/v2/a/blobs/sha256:{HEX}", MethodNotAllowed),
        ("GET", "/v2/a/blobs/uploads/", MethodNotAllowed),
        ("DELETE", "/v2/a/tags/list", MethodNotAllowed),
        ("BREW", "/v2/a/manifests/v1", MethodNotAllowed),
    ],
)
def test_what_is_no_path_of_ours_is_refused(
    method: str, path: str, error: type[RegistryError]
) -> None:
    with pytest.raises(error):
        router.parse(method, path)


def test_every_kind_of_path_has_its_methods() -> None:
    assert {*router.METHODS, router.AdminPath} == set(router.Path.__args__)
    with pytest.raises(MethodNotAllowed, match=r"allowed: GET, HEAD$"):
        router.parse("POST", "/cais/v1/usage")
