# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Final

from cais_registry.model.errors import BlobUploadUnknown, DigestInvalid

LENGTHS: Final = {"sha256": 64, "sha512": 128}
"""Algorithms that are taken, with the number of hexadecimal characters of each."""

DIGEST: Final = "(?:" + "|".join(f"{name}:[0-9a-f]{{{n}}}" for name, n in LENGTHS.items()) + ")"
"""As a regular expression that has to match the whole of a text."""

_HEX = re.compile(r"[0-9a-f]+")
_UPLOAD_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True, order=True)
class Digest:
    """The content address `algorithm:encoded` (OCI image-spec, descriptor.md, "Digests").

    Attributes:
        algorithm: `sha256` or `sha512`.
        encoded: Lower-case hexadecimal.
    """

    algorithm: str
    encoded: str

    @classmethod
    def parse(cls, text: str) -> Digest:
        """Read a digest as it stands in a URL or a descriptor.

        Raises:
            DigestInvalid: For another algorithm, length or alphabet.
        """
        algorithm, _, encoded = text.partition(":")
        length = LENGTHS.get(algorithm)
        if length is None or len(encoded) != length or not _HEX.fullmatch(encoded):
            raise DigestInvalid(
                f"digest {text[:160]!r} is not sha256: or sha512: followed by 64 or 128 lower-case "
                "hexadecimal characters"
            )
        return cls(algorithm, encoded)

    @classmethod
    def of(cls, content: bytes, algorithm: str = "sha256") -> Digest:
        """Compute the digest of bytes that are at hand (a manifest, not a blob)."""
        return cls(algorithm, hashlib.new(algorithm, content, usedforsecurity=False).hexdigest())

    @property
    def referrers_tag(self) -> str:
        """The tag whose index lists what refers to this, where a client saw no API for that.

        OCI distribution-spec, "Referrers Tag Schema"; what is too long for it is cut off.
        """
        return f"{self.algorithm}-{self.encoded[:64]}"

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.encoded}"


@dataclass(frozen=True, slots=True)
class UploadId:
    """The unguessable name of one upload: 32 hexadecimal characters, never used twice."""

    value: str

    @classmethod
    def parse(cls, text: str) -> UploadId:
        """Read an upload's name from a URL.

        Raises:
            BlobUploadUnknown: If it cannot be one of ours.
        """
        if not _UPLOAD_ID.fullmatch(text):
            raise BlobUploadUnknown("there is no such upload; start a new one")
        return cls(text)

    def __str__(self) -> str:
        return self.value
