# SPDX-License-Identifier: Apache-2.0
"""What is written beside the blobs for each manifest, so that a lost database can be rebuilt.

One line, then the manifest's bytes exactly as they were pushed:

    cais-manifest-copy <SHA-256 of the JSON, hexadecimal> <JSON>

Copies of older versions are the manifest's bytes alone.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Final

from cais_registry.model.digest import Digest
from cais_registry.model.errors import RegistryError
from cais_registry.model.names import RepoName

_WORD: Final = b"cais-manifest-copy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """What the database knew of a manifest, but for its bytes.

    Attributes:
        repo: The repository that has it.
        media_type: What it was pushed as.
        pushed_at: A time at which it was not deleted, in microseconds since 1970.
        blobs: Blobs that the repository had for it.
    """

    repo: RepoName
    media_type: str
    pushed_at: int
    blobs: tuple[Digest, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestCopy:
    """A copy of one manifest of one repository.

    Attributes:
        content: The manifest's bytes.
        origin: Where it belongs; None if the copy does not say so, or not reliably.
    """

    content: bytes
    origin: Origin | None


def encode(copy: ManifestCopy) -> bytes:
    """The bytes of the file."""
    if copy.origin is None:
        return copy.content
    origin = {
        "repository": copy.origin.repo.value,
        "mediaType": copy.origin.media_type,
        "pushedAt": copy.origin.pushed_at,
        "blobs": [str(digest) for digest in copy.origin.blobs],
    }
    text = json.dumps(origin, separators=(",", ":")).encode()
    seal = hashlib.sha256(text).hexdigest().encode()
    return b"%b %b %b\n%b" % (_WORD, seal, text, copy.content)


def decode(data: bytes) -> ManifestCopy:
    """Read the bytes of a file; whether the manifest is undamaged only its digest can tell."""
    if not data.startswith(_WORD):
        return ManifestCopy(content=data, origin=None)
    line, _, content = data.partition(b"\n")
    return ManifestCopy(content=content, origin=_origin(line))


def _origin(line: bytes) -> Origin | None:
    """What the first line says, if its seal is whole."""
    _, _, rest = line.partition(b" ")
    seal, _, text = rest.partition(b" ")
    if hashlib.sha256(text).hexdigest().encode() != seal:
        return None
    try:
        found = json.loads(text)
        return Origin(
            repo=RepoName.parse(found["repository"]),
            media_type=str(found["mediaType"]),
            pushed_at=int(found["pushedAt"]),
            blobs=tuple(Digest.parse(digest) for digest in found["blobs"]),
        )
    except (ValueError, LookupError, TypeError, RegistryError):
        return None
