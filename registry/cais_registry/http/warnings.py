# SPDX-License-Identifier: Apache-2.0
"""What clients are asked to show to whoever runs them (OCI distribution-spec, "Warnings")."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from cais_registry.http.responses import Headers

MOST_BYTES: Final = 4096
"""Of all warnings of one answer; the specification's limit."""


def headers(texts: Iterable[str]) -> Headers:
    """Write warnings as headers, as many as there is room for.

    Args:
        texts: Printable ASCII.
    """
    found: list[tuple[str, str]] = []
    left = MOST_BYTES
    for text in texts:
        quoted = text.replace("\\", "\\\\").replace('"', '\\"')
        value = f'299 - "{quoted}"'
        left -= len(value)
        if left < 0:
            break
        found.append(("Warning", value))
    return tuple(found)
