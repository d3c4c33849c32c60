# SPDX-License-Identifier: Apache-2.0
"""Whether patterns of repositories and tags are written as they have to be."""

from __future__ import annotations

from collections.abc import Sequence
from string import ascii_letters, ascii_lowercase, digits
from typing import Final

from cais_registry.config.errors import ConfigError

_IN_REPOSITORY: Final = frozenset(ascii_lowercase + digits + "._-*")
_IN_TAG: Final = frozenset(ascii_letters + digits + "._-*")
_LONGEST: Final = 255
_LONGEST_TAG: Final = 128


def check_repositories(field: str, globs: Sequence[str]) -> None:
    """Let patterns of repositories pass, or not.

    Args:
        field: Where they are, for the message.
        globs: The patterns.

    Raises:
        ConfigError: If one is not like `apps/**`.
    """
    for glob in globs:
        if len(glob) > _LONGEST or not all(map(_is_segment, glob.split("/"))):
            raise ConfigError(
                f"{field}: {glob[:80]!r} is not a glob: segments of "
                "a-z 0-9 . _ - and * parted by /, with ** standing for whole segments only, "
                f"at most {_LONGEST} characters"
            )


def _is_segment(text: str) -> bool:
    return bool(text) and set(text) <= _IN_REPOSITORY and (text == "**" or "**" not in text)


def check_tags(field: str, globs: Sequence[str]) -> None:
    """Let patterns of tags pass, or not; raises as `check_repositories` does."""
    for glob in globs:
        if not glob or len(glob) > _LONGEST_TAG or not set(glob) <= _IN_TAG or "**" in glob:
            raise ConfigError(
                f"{field}: {glob[:80]!r} is not a glob of tags: letters, digits, . _ - and *, "
                f"which stands for any characters; at most {_LONGEST_TAG} of them"
            )
