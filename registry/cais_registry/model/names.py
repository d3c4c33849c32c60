# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from cais_registry.model.errors import NameInvalid, TagInvalid

MAX_REPO_NAME: Final = 255
"""Characters; clients limit host and name together to this."""

_COMPONENT = r"[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*"
REPO_NAME: Final = rf"{_COMPONENT}(?:/{_COMPONENT})*"
TAG: Final = r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}"
"""As regular expressions that have to match the whole of a text."""

_REPO_NAME, _TAG = re.compile(REPO_NAME), re.compile(TAG)


@dataclass(frozen=True, slots=True, order=True)
class RepoName:
    """A repository's name (OCI distribution-spec, "Pulling manifests")."""

    value: str

    @classmethod
    def parse(cls, text: str) -> RepoName:
        """Read a repository's name as it stands in a URL, percent-decoding done.

        Raises:
            NameInvalid: If the specification does not allow the name, or it is too long.
        """
        if len(text) > MAX_REPO_NAME or not _REPO_NAME.fullmatch(text):
            raise NameInvalid(
                f"repository name {text[:80]!r} is not allowed: lower-case letters and digits, "
                "parted by one of . _ __ - and by /, at most 255 characters"
            )
        return cls(text)

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, slots=True, order=True)
class Tag:
    """A tag (OCI distribution-spec, "Pulling manifests")."""

    value: str

    @classmethod
    def parse(cls, text: str) -> Tag:
        """Read a tag as it stands in a URL.

        Raises:
            TagInvalid: If the specification does not allow the tag.
        """
        if not _TAG.fullmatch(text):
            raise TagInvalid(
                f"tag {text[:140]!r} is not allowed: letters, digits and _ . - (the first not "
                ". or -), at most 128 characters"
            )
        return cls(text)

    def __str__(self) -> str:
        return self.value
