# SPDX-License-Identifier: Apache-2.0
"""The server over a real S3 server, with metadata in SQLite."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from blobstore_contract import BlobStoreContract
from cais_registry.stores.blobstore import BlobStore
from cais_registry.stores.bucket import Bucket, S3Access, connect
from cais_registry.stores.object_store import ObjectStore
from support.distribution import crane
from support.objectstore import ACCESS, BUCKET, SECRET, S3Server
from support.registry import digest_of, running


@pytest.fixture
def store(s3: S3Server) -> Iterator[BlobStore]:
    access = S3Access(
        bucket=BUCKET, endpoint=s3.endpoint, region="us-east-1", prefix="contract",
        access_key=ACCESS, secret_key=SECRET,
    )  # fmt: skip
    with ThreadPoolExecutor(2) as pool:
        yield ObjectStore(Bucket(connect(access)), pool)


class TestS3(BlobStoreContract):
    pass


def test_an_upload_goes_on_after_a_restart_and_its_bytes_are_in_the_bucket(
    s3: S3Server, tmp_path: Path, repo: str
) -> None:
    first, second = secrets.token_bytes(6_000_000), secrets.token_bytes(100)
    digest = digest_of(first + second)
    config = {"storage": s3.settings(tmp_path, prefix="restart")}
    with running(tmp_path, config=config) as server:
        place = server.ask("POST", f"/v2/{repo}/blobs/uploads/")["Location"] or ""
        assert server.ask("PATCH", place, first)["Range"] == f"0-{len(first) - 1}"
    with running(tmp_path, config=config) as server:
        assert server.ask("GET", place)["Range"] == f"0-{len(first) - 1}"
        assert server.ask("PATCH", place, second).status == 202
        assert server.ask("PUT", f"{place}?digest={digest}").status == 201
        path = f"/v2/{repo}/blobs/{digest}"
        assert server.ask("GET", path).body == first + second
        part = server.ask("GET", path, headers={"Range": "bytes=5999990-6000009"})
        assert (part.status, part.body) == (206, first[-10:] + second[:10])
    objects = [path for path in (s3.folder / "restart").rglob("*") if path.is_file()]
    assert [path.stat().st_size for path in objects] == [len(first) + len(second)]
    assert not any((tmp_path / "data" / "blobs").iterdir())


def test_an_empty_blob_and_an_image_are_kept(s3: S3Server, tmp_path: Path, repo: str) -> None:
    with running(tmp_path, config={"storage": s3.settings(tmp_path, prefix="image")}) as server:
        empty = server.push_blob(repo, b"")
        answer = server.ask("GET", f"/v2/{repo}/blobs/{empty}")
        assert (answer.status, answer.body) == (200, b"")
        server.push_image(repo, "v1", secrets.token_bytes(300_000))
        assert server.ask("GET", f"/v2/{repo}/manifests/v1").status == 200


def fetch(link: str, headers: Mapping[str, str]) -> tuple[int, bytes]:
    """Ask the store itself, with no more than a client has that was sent there."""
    parts = urlsplit(link)
    with closing(HTTPConnection(parts.netloc)) as connection:
        connection.request("GET", f"{parts.path}?{parts.query}", headers=dict(headers))
        with connection.getresponse() as answer:
            return answer.status, answer.read()


def test_a_pull_is_sent_to_the_store_where_that_is_wanted(
    s3: S3Server, tmp_path: Path, repo: str
) -> None:
    layer = secrets.token_bytes(300_000)
    config = {"storage": s3.settings(tmp_path, prefix="redirect", redirect=True)}
    with running(tmp_path, config=config) as server:
        server.push_image(repo, "v1", layer)
        digest = digest_of(layer)
        for sent, wanted in (({}, layer), ({"Range": "bytes=1000-299000"}, layer[1000:299001])):
            answer = server.ask("GET", f"/v2/{repo}/blobs/{digest}", headers=sent)
            assert (answer.status, answer["Docker-Content-Digest"]) == (307, digest)
            link = answer["Location"] or ""
            assert link.startswith(s3.endpoint)
            assert fetch(link, sent) == (206 if sent else 200, wanted)
        answer = server.ask("GET", f"/v2/{repo}/blobs/{digest}?redirect=false")
        assert (answer.status, answer.body) == (200, layer)
        host = "{}:{}".format(*server.address)
        crane("pull", f"{host}/{repo}:v1", tmp_path / "image", "--format", "oci")
        (pulled,) = (tmp_path / "image").rglob(digest.removeprefix("sha256:"))
        assert pulled.read_bytes() == layer
