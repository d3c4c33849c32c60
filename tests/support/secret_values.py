# SPDX-License-Identifier: Apache-2.0
"""What is secret in Secrets: the values, and what is inside of them. Pure."""

import base64
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

# what stands in Secrets beside what is secret; marks are digests of published keys
PUBLIC = (".crt", "username", "previous-until", ".fingerprints", "revision", "access-key-id")
FOREIGN = ("helm.sh/release.v1", "bootstrap.kubernetes.io/token")  # types
MARKS = "issuers"
_PEM = re.compile(r"-----BEGIN ([A-Z ]*PRIVATE KEY)-----[^-]*-----END \1-----")
_HASH = re.compile(r"\$2[abxy]\$\d\d\$[./A-Za-z0-9]{53}")
_INSIDE = ("password", "auth")  # how fields of JSON end whose values are secret


def values(secrets: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Name every value that is secret: `namespace/name/key`, and what it is inside of that.

    Args:
        secrets: Secrets as the API gives them, each version of each.
    """
    found: dict[str, str] = {}
    for secret in secrets:
        if secret.get("type") in FOREIGN:
            continue
        place = f"{secret['metadata']['namespace']}/{secret['metadata']['name']}"
        for key, text in (secret.get("data") or {}).items():
            if not key.endswith(PUBLIC) and key != MARKS:
                for what, value in pieces(key, _text(text)):
                    _add(found, f"{place}/{key}{what}", value)
    return found


def pieces(key: str, value: str) -> Iterator[tuple[str, str]]:
    """What is secret in one value, each with words for what it is."""
    special = [
        *((" (private key)", one) for one in _found(_PEM, value)),
        *((" (bcrypt hash)", one) for one in _found(_HASH, value)),
        *_of_json(key, value),
        *_of_url(value),
    ]
    yield from special or [("", value)]


def _found(shape: re.Pattern[str], value: str) -> list[str]:
    return [match[0] for match in shape.finditer(value)]


def _of_json(key: str, value: str) -> Iterator[tuple[str, str]]:
    try:
        parsed = json.loads(value)
    except ValueError:
        return
    for field, leaf in _leaves(parsed):
        if field.endswith(_INSIDE) or key == "fingerprints":
            yield f" ({field})", leaf


def _leaves(found: Any, field: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(found, dict):
        for name, one in found.items():
            yield from _leaves(one, name)
    elif isinstance(found, list):
        for one in found:
            yield from _leaves(one, field)
    elif isinstance(found, str):
        yield field, found


def _of_url(value: str) -> Iterator[tuple[str, str]]:
    if re.match(r"[a-z][a-z0-9+.-]*://", value) and (password := urlsplit(value.strip()).password):
        yield " (password)", unquote(password)


def _text(encoded: str) -> str:
    return base64.b64decode(encoded).decode(errors="replace")


def _add(found: dict[str, str], name: str, value: str) -> None:
    """Keep each value of a place that had several, under a name of its own."""
    number = 1
    while found.get(name if number == 1 else f"{name} #{number}", value) != value:
        number += 1
    found[name if number == 1 else f"{name} #{number}"] = value
