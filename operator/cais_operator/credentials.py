# SPDX-License-Identifier: Apache-2.0
"""Passwords and htpasswd entries as Secrets hold them. Pure: nothing here hashes or draws."""

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from cais_operator.observed import Live

LONGEST_PASSWORD = 72  # bytes; bcrypt reads no further
_CONTROL = re.compile("[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True, kw_only=True)
class UserEntry:
    """One line of htpasswd and the keyed fingerprint of the password behind it."""

    name: str
    hash: str
    fingerprint: str


def password_in(secret: Live | None, key: str = "password") -> str | None:
    """Return the password a Secret holds; None when there is none usable.

    One trailing newline is dropped (`echo pw | base64`). Unusable: empty, more than 72 bytes
    (bcrypt reads no further), not UTF-8, or with a control character.
    """
    text = _text(secret, key)
    if text is None:
        return None
    password = text.removesuffix("\n").removesuffix("\r")
    usable = 0 < len(password.encode()) <= LONGEST_PASSWORD and not _CONTROL.search(password)
    return password if usable else None


def known_users(secret: Live | None) -> Mapping[str, UserEntry]:
    """Read back the entries of a live users Secret; whatever is unreadable is left out."""
    fingerprints = _fingerprints(_text(secret, "fingerprints") or "")
    lines = (_text(secret, "htpasswd") or "").splitlines()
    pairs = (line.split(":", 1) for line in lines if ":" in line)
    return {
        name: UserEntry(name=name, hash=hashed, fingerprint=fingerprints[name])
        for name, hashed in pairs
        if isinstance(fingerprints.get(name), str)
    }


def _fingerprints(text: str) -> Mapping[str, str]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _text(secret: Live | None, key: str) -> str | None:
    data = (secret or {}).get("data") or {}
    try:
        return base64.b64decode(data[key], validate=True).decode()
    except (KeyError, ValueError):
        return None
