# SPDX-License-Identifier: Apache-2.0
"""Passwords and htpasswd entries as Secrets hold them. Pure: nothing here hashes or draws."""

import base64
import json
import re
from collections.abc import Iterable, Mapping
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


def known_users(secret: Live | None) -> Mapping[str, tuple[UserEntry, ...]]:
    """Read back the entries of a live users Secret by name; whatever is unreadable is left out."""
    fingerprints = _fingerprints(_text(secret, "fingerprints") or "")
    lines = (_text(secret, "htpasswd") or "").splitlines()
    found: dict[str, tuple[UserEntry, ...]] = {}
    for name, _, hashed in (line.partition(":") for line in lines):
        before = found.get(name, ())
        marks = _listed(fingerprints.get(name))
        if len(before) < len(marks):
            entry = UserEntry(name=name, hash=hashed, fingerprint=marks[len(before)])
            found[name] = (*before, entry)
    return found


def fingerprints_of(entries: Iterable[UserEntry]) -> dict[str, list[str]]:
    """Return what stands beside the hashes: by name, in the order of the lines."""
    found: dict[str, list[str]] = {}
    for entry in entries:
        found.setdefault(entry.name, []).append(entry.fingerprint)
    return found


def _listed(marks: object) -> list[str]:
    """One that stands alone was written by an operator of the version before."""
    marks = [marks] if isinstance(marks, str) else marks
    if not isinstance(marks, list) or not all(isinstance(one, str) for one in marks):
        return []
    return marks


def _fingerprints(text: str) -> Mapping[str, object]:
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
