# SPDX-License-Identifier: Apache-2.0
"""Reads manifests: generous about types that are not known, strict about what is ambiguous.

OCI image-spec 1.1 (manifest.md, image-index.md), Docker image manifest version 2 schema 2.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NoReturn

import msgspec

from cais_registry.model.digest import Digest
from cais_registry.model.errors import DigestInvalid, ManifestInvalid

OCI_IMAGE: Final = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX: Final = "application/vnd.oci.image.index.v1+json"
DOCKER_IMAGE: Final = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST: Final = "application/vnd.docker.distribution.manifest.list.v2+json"
_SCHEMA_1: Final = "application/vnd.docker.distribution.manifest.v1+"
_IMAGES: Final = frozenset((OCI_IMAGE, DOCKER_IMAGE))
_INDEXES: Final = frozenset((OCI_INDEX, DOCKER_LIST))

_MAX_NESTED: Final = 100_000
"""Objects and lists in one manifest; bounds the memory that reading takes."""
_MEDIA_TYPE = re.compile(r"[A-Za-z0-9][\w!#$&.+^-]{0,126}/[A-Za-z0-9][\w!#$&.+^-]{0,126}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a manifest says about other content.

    Attributes:
        media_type: Its type.
        artifact_type: `artifactType`, else the type of an image's config, else None.
        subject: The manifest that it refers to.
        blobs: Blobs that the repository must have for it: config and layers.
        children: Entries of an index: manifests, by some tools blobs.
        optional: Blobs that need not be there: foreign layers (with `urls`), inlined `data`.
        annotations: Of the manifest.
    """

    media_type: str
    artifact_type: str | None
    subject: Digest | None
    blobs: tuple[Digest, ...]
    children: tuple[Digest, ...]
    optional: tuple[Digest, ...]
    annotations: Mapping[str, str]


class _Descriptor(msgspec.Struct, rename="camel"):
    digest: str
    size: int
    media_type: str = ""
    urls: list[str] | None = None
    data: str | None = None


class _Document(msgspec.Struct, rename="camel"):
    schema_version: int | None = None
    media_type: str | None = None
    artifact_type: str | None = None
    config: _Descriptor | None = None
    layers: list[_Descriptor] | None = None
    blobs: list[_Descriptor] | None = None
    manifests: list[_Descriptor] | None = None
    subject: _Descriptor | None = None
    annotations: dict[str, str] | None = None
    fs_layers: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


_DECODER: Final = msgspec.json.Decoder(_Document)


def parse(content: bytes, content_type: str | None, *, max_references: int = 10_000) -> Manifest:
    """Read a manifest.

    Args:
        content: The bytes, whose number the caller has limited.
        content_type: The type it is sent as, perhaps with parameters; None if not told.
        max_references: Most descriptors it may hold.

    Raises:
        ManifestInvalid: If it is none, or can be read in two ways.
    """
    document = _decode(content)
    media_type = _media_type(document, content_type)
    _check_shape(document, media_type)
    try:
        return _manifest(document, media_type, max_references)
    except DigestInvalid as error:
        raise ManifestInvalid(f"manifest is not valid: {error.message}") from None


def said_type(content: bytes) -> str | None:
    """The media type that a manifest says it has; older tools left it out of OCI manifests."""
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        return None
    if not isinstance(document, dict):
        return None
    if isinstance(document.get("mediaType"), str):
        return str(document["mediaType"])
    return OCI_INDEX if "manifests" in document else OCI_IMAGE


def _decode(content: bytes) -> _Document:
    if content.count(b"{") + content.count(b"[") > _MAX_NESTED:
        raise ManifestInvalid(f"manifest holds more than {_MAX_NESTED} objects and lists")
    try:
        document = _DECODER.decode(content)
        json.loads(content, object_pairs_hook=_no_duplicates, parse_constant=_no_constant)
    except RecursionError:
        raise ManifestInvalid("manifest is nested too deeply") from None
    except (ValueError, msgspec.DecodeError) as error:
        raise ManifestInvalid(f"manifest is not valid: {str(error)[:200]}") from None
    return document


def _no_duplicates(pairs: list[tuple[str, Any]]) -> None:
    keys: set[str] = set()
    for key, _ in pairs:
        if key in keys:
            raise ValueError(f"key {key[:60]!r} stands twice in one object")
        keys.add(key)


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not JSON")


def _media_type(document: _Document, content_type: str | None) -> str:
    sent = (content_type or "").partition(";")[0].strip()
    found = sent or document.media_type or ""
    if not found:
        raise ManifestInvalid("manifest has no media type: send one as Content-Type")
    if document.media_type and sent and document.media_type != sent:
        raise ManifestInvalid(
            f"manifest says mediaType {document.media_type[:120]!r}, but was sent as {sent[:120]!r}"
        )
    if not _MEDIA_TYPE.fullmatch(found):
        raise ManifestInvalid(f"{found[:120]!r} is not a media type")
    return found


def _check_shape(document: _Document, media_type: str) -> None:
    old = document.schema_version == 1 or document.fs_layers is not msgspec.UNSET
    if old or media_type.startswith(_SCHEMA_1):
        raise ManifestInvalid("image manifests of schema 1 are not taken: push with a newer client")
    as_image = document.config is not None or document.layers is not None
    as_index = document.manifests is not None
    if as_image and as_index:
        raise ManifestInvalid("manifest is ambiguous: it has both config or layers and manifests")
    if media_type not in _IMAGES | _INDEXES:
        return
    if document.schema_version != 2:  # noqa: PLR2004 - the only version there is
        raise ManifestInvalid("schemaVersion has to be 2")
    if media_type in _IMAGES and (document.config is None or document.layers is None):
        raise ManifestInvalid(f"a manifest of type {media_type} needs config and layers")
    if media_type in _INDEXES and not as_index:
        raise ManifestInvalid(f"a manifest of type {media_type} needs manifests")


def _manifest(document: _Document, media_type: str, max_references: int) -> Manifest:
    config = [] if document.config is None else [document.config]
    blobs = config + (document.layers or []) + (document.blobs or [])
    children = document.manifests or []
    if len(blobs) + len(children) > max_references:
        raise ManifestInvalid(f"manifest refers to more than {max_references} things")
    _check_sizes(blobs + children)
    subject = document.subject
    return Manifest(
        media_type=media_type,
        artifact_type=_artifact_type(document),
        subject=None if subject is None else Digest.parse(subject.digest),
        blobs=_digests([blob for blob in blobs if not _is_optional(blob)]),
        children=_digests([child for child in children if not _is_optional(child)]),
        optional=_digests([any_ for any_ in blobs + children if _is_optional(any_)]),
        annotations=document.annotations or {},
    )


def _check_sizes(descriptors: list[_Descriptor]) -> None:
    for descriptor in descriptors:
        if descriptor.size < 0:
            raise ManifestInvalid(f"{descriptor.digest[:160]} has a size below zero")


def _artifact_type(document: _Document) -> str | None:
    config = document.config.media_type if document.config is not None else ""
    found = document.artifact_type or config or None
    if found is not None and not found.isprintable():
        raise ManifestInvalid(f"artifactType {found[:120]!r} holds characters that no type has")
    return found


def _is_optional(descriptor: _Descriptor) -> bool:
    return bool(descriptor.urls) or descriptor.data is not None


def _digests(descriptors: list[_Descriptor]) -> tuple[Digest, ...]:
    return tuple(Digest.parse(descriptor.digest) for descriptor in descriptors)
