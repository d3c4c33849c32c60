# SPDX-License-Identifier: Apache-2.0
"""The commands of the README, taken from it."""

import re

BLOCK = re.compile(r"^```shell\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(text: str, heading: str) -> list[list[str]]:
    """Return the command lines of each shell block under a heading, in order.

    Args:
        text: A Markdown document.
        heading: Words of a heading of level 2.

    Raises:
        ValueError: There is no such heading.
    """
    _, found, rest = text.partition(f"\n## {heading}\n")
    if not found:
        raise ValueError(f"no heading {heading!r}")
    section = rest.partition("\n## ")[0]
    return [block.strip().splitlines() for block in BLOCK.findall(section)]
