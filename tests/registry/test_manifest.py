# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cais_registry.model.digest import Digest
from cais_registry.model.errors import ManifestInvalid
from cais_registry.model.manifest import DOCKER_IMAGE, DOCKER_LIST, OCI_IMAGE, OCI_INDEX, parse
from core_support import descriptor, image, index

CONFIG, LAYER, CHILD = b"{}", b"layer", b"child"


def encoded(**document: Any) -> bytes:
    return json.dumps(document).encode()


def test_an_image_names_its_config_and_layers() -> None:
    found = parse(image(CONFIG, LAYER, annotations={"a": "b"}), OCI_IMAGE)
    assert found.blobs == (Digest.of(CONFIG), Digest.of(LAYER))
    assert (found.children, found.optional, found.subject) == ((), (), None)
    assert found.annotations == {"a": "b"}
    assert found.artifact_type == "application/vnd.oci.image.config.v1+json"


def test_an_artifact_type_of_its_own_wins_over_that_of_the_config() -> None:
    assert parse(image(CONFIG, artifactType="x/y"), OCI_IMAGE).artifact_type == "x/y"


def test_an_index_names_its_children_and_has_no_artifact_type_unless_it_says_one() -> None:
    found = parse(index(CHILD), OCI_INDEX)
    assert found.children == (Digest.of(CHILD),)
    assert found.blobs == ()
    assert found.artifact_type is None


def test_a_subject_is_read() -> None:
    assert parse(image(CONFIG, subject=CHILD), OCI_IMAGE).subject == Digest.of(CHILD)


@pytest.mark.parametrize("more", [{"urls": ["https://example.com/x"]}, {"data": "bGF5ZXI="}])
def test_foreign_and_inlined_content_need_not_be_there(more: dict[str, Any]) -> None:
    layers = [{**descriptor(LAYER), **more}]
    content = encoded(schemaVersion=2, config=descriptor(CONFIG), layers=layers)
    found = parse(content, OCI_IMAGE)
    assert found.blobs == (Digest.of(CONFIG),)
    assert found.optional == (Digest.of(LAYER),)


@pytest.mark.parametrize("media_type", [OCI_IMAGE, DOCKER_IMAGE])
def test_an_image_without_layers_is_taken(media_type: str) -> None:
    content = encoded(schemaVersion=2, mediaType=media_type, config=descriptor(CONFIG), layers=[])
    assert parse(content, media_type).media_type == media_type


@pytest.mark.parametrize("media_type", [OCI_INDEX, DOCKER_LIST])
def test_an_empty_index_is_taken(media_type: str) -> None:
    content = encoded(schemaVersion=2, mediaType=media_type, manifests=[])
    assert parse(content, media_type).children == ()


def test_types_that_are_not_known_are_taken_with_what_they_refer_to() -> None:
    kind = "application/vnd.oci.artifact.manifest.v1+json"
    found = parse(encoded(mediaType=kind, blobs=[descriptor(LAYER)], custom={"x": [1]}), kind)
    assert found.blobs == (Digest.of(LAYER),)


def test_the_type_is_taken_from_the_body_when_none_is_sent() -> None:
    assert parse(image(CONFIG), None).media_type == OCI_IMAGE


def test_parameters_of_the_content_type_do_not_count() -> None:
    assert parse(image(CONFIG), f"{OCI_IMAGE}; charset=utf-8").media_type == OCI_IMAGE


IMAGE = {"schemaVersion": 2, "config": descriptor(CONFIG), "layers": []}


@pytest.mark.parametrize(
    ("content", "content_type", "said"),
    [
        (b"", OCI_IMAGE, "not valid"),
        (b"null", OCI_IMAGE, "not valid"),
        (b"[]", OCI_IMAGE, "not valid"),
        (b"{", OCI_IMAGE, "not valid"),
        (b'{"a": NaN}', OCI_IMAGE, "not valid"),
        (b"\xff{}", OCI_IMAGE, "not valid"),
        (encoded(**IMAGE), None, "no media type"),
        (encoded(**IMAGE), "nonsense", "not a media type"),
        (encoded(**IMAGE, mediaType=DOCKER_IMAGE), OCI_IMAGE, "but was sent as"),
        (encoded(**IMAGE, manifests=[]), OCI_IMAGE, "ambiguous"),
        (encoded(schemaVersion=2, layers=[], manifests=[]), "x/y", "ambiguous"),
        (encoded(schemaVersion=2, manifests=[]), OCI_IMAGE, "needs config and layers"),
        (encoded(**IMAGE), OCI_INDEX, "needs manifests"),
        (encoded(schemaVersion=2, layers=[]), OCI_IMAGE, "needs config and layers"),
        (encoded(schemaVersion=3, config=descriptor(CONFIG), layers=[]), OCI_IMAGE, "has to be 2"),
        (encoded(schemaVersion=1, fsLayers=[], history=[]), "x/y", "schema 1"),
        (b"{}", "application/vnd.docker.distribution.manifest.v1+prettyjws", "schema 1"),
        (encoded(**{**IMAGE, "config": {"digest": "sha256:x", "size": 1}}), OCI_IMAGE, "sha256"),
        (encoded(**{**IMAGE, "config": {**descriptor(CONFIG), "size": -1}}), OCI_IMAGE, "below"),
        (encoded(**{**IMAGE, "config": {**descriptor(CONFIG), "size": "1"}}), OCI_IMAGE, "valid"),
        (encoded(**IMAGE, subject={"digest": "x", "size": 1}), OCI_IMAGE, "sha256"),
        (encoded(**IMAGE, annotations={"a": 1}), OCI_IMAGE, "not valid"),
        (b'{"schemaVersion": 2, "schemaVersion": 2}', OCI_IMAGE, "twice"),
        (b'{"x": [{"a": 1, "a": 2}]}', "x/y", "twice"),
        (b'{"x": ' + b"[" * 50_000 + b"]" * 50_000 + b"}", "x/y", "nested"),
        (b'{"x": [' + b"{}," * 100_000 + b"{}]}", "x/y", "more than"),
        (b'{"x": ' + b"9" * 5000 + b"}", "x/y", "not valid"),
    ],
)  # fmt: skip
def test_what_is_no_manifest_or_ambiguous_is_refused(
    content: bytes, content_type: str | None, said: str
) -> None:
    with pytest.raises(ManifestInvalid, match=said):
        parse(content, content_type)


def test_more_references_than_allowed_are_refused() -> None:
    with pytest.raises(ManifestInvalid, match="more than 2 things"):
        parse(image(CONFIG, b"1", b"2"), OCI_IMAGE, max_references=2)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=10,
)
KEYS = st.sampled_from(
    ["schemaVersion", "mediaType", "config", "layers", "manifests", "subject", "annotations"]
)


@given(st.dictionaries(KEYS, JSON, max_size=5))
def test_any_document_is_read_or_refused_with_a_reason(document: dict[str, Any]) -> None:
    with suppress(ManifestInvalid):
        assert parse(json.dumps(document).encode(), OCI_IMAGE).media_type == OCI_IMAGE


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused_with_a_reason(content: bytes) -> None:
    with suppress(ManifestInvalid):
        assert parse(content, OCI_IMAGE).media_type == OCI_IMAGE
