# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from cais_registry.model.digest import Digest
from cais_registry.model.manifest_copy import ManifestCopy, Origin, decode, encode
from cais_registry.model.names import RepoName

ORIGIN = Origin(
    repo=RepoName("team/app"),
    media_type="application/vnd.oci.image.manifest.v1+json",
    pushed_at=1_800_000_000_000_000,
    blobs=(Digest.of(b"a"), Digest.of(b"b", "sha512")),
)


@pytest.mark.parametrize("content", [b"{}", b"", b'{\n"a": 1}\n', b"\n\n"])
@pytest.mark.parametrize("origin", [ORIGIN, None])
def test_what_is_written_is_read_byte_for_byte(content: bytes, origin: Origin | None) -> None:
    copy = ManifestCopy(content=content, origin=origin)
    assert decode(encode(copy)) == copy


def test_a_first_line_with_any_byte_changed_says_nothing() -> None:
    data = encode(ManifestCopy(content=b"{}", origin=ORIGIN))
    for place in range(data.index(b"\n")):
        changed = bytearray(data)
        changed[place] ^= 1
        assert decode(bytes(changed)).origin is None, place


@pytest.mark.parametrize(
    "text", [b"{}", b"[]", b"null", b"x", b'{"repository": "UPPER", "mediaType": "a/b"}']
)
def test_a_sealed_line_that_says_too_little_says_nothing(text: bytes) -> None:
    seal = Digest.of(text).encoded.encode()
    found = decode(b"cais-manifest-copy " + seal + b" " + text + b"\n{}")
    assert found == ManifestCopy(content=b"{}", origin=None)
