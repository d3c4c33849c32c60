# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import hashlib
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cais_registry.model.digest import Digest, UploadId
from cais_registry.model.errors import BlobUploadUnknown, DigestInvalid


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_a_digest_is_read_and_written_alike(algorithm: str) -> None:
    text = f"{algorithm}:{hashlib.new(algorithm, b'x').hexdigest()}"
    assert str(Digest.parse(text)) == text
    assert Digest.parse(text) == Digest.of(b"x", algorithm)


HEX = "a" * 64


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sha256",
        "sha256:",
        f"sha256:{HEX[1:]}",
        f"sha256:{HEX}a",
        f"sha256:{HEX}\n",
        f"sha256:{HEX.upper()}",
        f"sha256:{'g' * 64}",
        f"sha256:{'a' * 63}g",
        f"sha256:{'٣' * 64}",
        f"SHA256:{HEX}",
        f"sha512:{HEX}",
        f"md5:{'a' * 32}",
        f"sha256+b64:{HEX}",
        f"sha256:../../{'a' * 58}",
        HEX,
    ],
)
def test_what_is_no_digest_is_refused(text: str) -> None:
    with pytest.raises(DigestInvalid, match="sha256"):
        Digest.parse(text)


@given(st.text(max_size=200))
def test_any_text_is_a_digest_or_refused(text: str) -> None:
    with suppress(DigestInvalid):
        assert str(Digest.parse(text)) == text


@pytest.mark.parametrize(
    "text", ["", "a" * 31, "a" * 33, "A" * 32, "../" + "a" * 29, "a" * 32 + "\n"]
)
def test_what_is_no_upload_of_ours_is_unknown(text: str) -> None:
    with pytest.raises(BlobUploadUnknown):
        UploadId.parse(text)


def test_an_upload_id_is_read() -> None:
    assert str(UploadId.parse("0123456789abcdef" * 2)) == "0123456789abcdef" * 2
