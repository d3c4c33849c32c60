# SPDX-License-Identifier: Apache-2.0
"""Looks for secrets in what was logged and told, in the forms that they may have there."""

import base64
import json
from collections.abc import Iterator, Mapping
from urllib.parse import quote

SHORTEST = 8
"""Characters; shorter ones are found by chance."""


def leaks(texts: Mapping[str, str], secrets: Mapping[str, str]) -> list[str]:
    """Name each secret that stands in a text, and the text; never the secret.

    Args:
        texts: What was logged and told, by where.
        secrets: By what they are; shorter ones than `SHORTEST` are passed over.
    """
    return [
        f"{name} stands in {where}"
        for where, text in texts.items()
        for name, secret in secrets.items()
        if len(secret) >= SHORTEST and any(form in text for form in forms(secret))
    ]


def forms(secret: str) -> set[str]:
    """As it is, in JSON, in an address, and in base64 wherever in a longer text it begins."""
    lines = [line for line in secret.splitlines() if len(line) >= SHORTEST and line[:5] != "-----"]
    found = {
        one
        for line in lines or [secret]
        for one in (line, json.dumps(line)[1:-1], quote(line, safe=""))
    }
    return found | set(_encoded(secret.strip().encode()))


def _encoded(secret: bytes) -> Iterator[str]:
    """The part of a base64 text that depends on the secret alone, for each way to begin."""
    for before in range(3):
        whole = base64.b64encode(bytes(before) + secret).decode().rstrip("=")
        bits = 8 * (before + len(secret))
        yield whole[-(-8 * before // 6) : bits // 6]
