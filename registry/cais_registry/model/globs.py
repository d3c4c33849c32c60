# SPDX-License-Identifier: Apache-2.0
"""Patterns of repositories and tags. No pattern costs more than its length times the text's."""

from __future__ import annotations

from collections.abc import Sequence


def matches_repo(glob: str, name: str) -> bool:
    """Tell whether a pattern covers a whole name of a repository.

    `*` stands for any text within one segment, `**` for any number of whole segments (none too).
    """
    return matches_path(glob.split("/"), name.split("/"))


def matches_path(glob: Sequence[str], segments: Sequence[str]) -> bool:
    """The same as `matches_repo`, for a pattern and a name that are parted at `/` already."""
    # reached[i]: the part of the glob seen so far can cover the first i segments
    reached = [True] + [False] * len(segments)
    for part in glob:
        if part == "**":
            first = reached.index(True) if True in reached else len(reached)
            reached = [i >= first for i in range(len(reached))]
        else:
            reached = [False] + [
                reached[i] and matches_text(part, segment) for i, segment in enumerate(segments)
            ]
    return reached[-1]


def matches_text(glob: str, text: str) -> bool:
    """Tell whether a pattern covers a whole text, a tag say; `*` stands for any characters."""
    first, *more = glob.split("*")
    if not more:
        return glob == text
    *between, last = more
    position, end = len(first), len(text) - len(last)
    if position > end or not text.startswith(first) or not text.endswith(last):
        return False
    for part in between:  # the earliest place leaves the most room for the next part
        found = text.find(part, position, end)
        if found < 0:
            return False
        position = found + len(part)
    return True
