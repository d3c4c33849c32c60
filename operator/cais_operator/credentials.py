# SPDX-License-Identifier: Apache-2.0
"""Passwords and htpasswd entries as Secrets hold them. Pure: nothing here hashes or draws.

A generated password is replaced in three steps, each of which is what its Secret says: a `next` one
is there, which the server learns while clients know nothing of it; then it is the password, and the
`previous` one still lets clients in; at its end that is gone.
"""

import base64
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from cais_operator import names
from cais_operator.observed import Live
from cais_operator.resource import Registry

LONGEST_PASSWORD = 72  # bytes; bcrypt reads no further
PASSWORD, NEXT = "password", "next-password"  # keys of a Secret
PREVIOUS, UNTIL = "previous-password", "previous-until"
_CONTROL = re.compile("[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True, kw_only=True)
class UserEntry:
    """One line of htpasswd and the keyed fingerprint of the password behind it."""

    name: str
    hash: str
    fingerprint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Passwords:
    """The passwords of one generated account.

    Attributes:
        current: What clients are told.
        next: What they will be told when the server knows it; None when nothing changes.
        previous: What they were told before, and may still use; None when there is none.
        until: The end of the previous one; aware, whole seconds.
    """

    current: str = field(repr=False)
    next: str | None = field(default=None, repr=False)
    previous: str | None = field(default=None, repr=False)
    until: datetime | None = None

    def accepted(self) -> tuple[str, ...]:
        """Return what lets a client in: two at most, in an order that telling them leaves alone."""
        other = self.next or self.previous
        return tuple(sorted({self.current, other or self.current}))

    def told(self, until: datetime) -> "Passwords":
        """Return them when the next one has become the password; the old one ends at a time."""
        if self.next is None:
            return self
        end = until.replace(microsecond=0)
        return Passwords(current=self.next, previous=self.current, until=end)

    def at(self, now: datetime) -> "Passwords":
        """Return what is left of them at a time."""
        if self.until is None or now < self.until:
            return self
        return replace(self, previous=None, until=None)


def generated_secrets(registry: Registry) -> dict[str, str]:
    """Return the Secret of every user whose password is generated, by user name."""
    declared = registry.spec.access.users
    return {
        names.ADMIN: names.admin_secret(registry),
        names.GC: names.gc_secret(registry),
        names.PULL: names.pull_secret(registry),
        **{
            one.name: names.user_secret(registry, one)
            for one in declared
            if one.password_secret_ref is None
        },
    }


def passwords_in(secret: Live | None) -> Passwords | None:
    """Return the passwords of a generated account; None when its Secret holds none."""
    current = password_in(secret)
    if current is None:
        return None
    previous, until = password_in(secret, PREVIOUS), _time(_text(secret, UNTIL))
    if previous is None or until is None:
        previous = until = None
    return Passwords(
        current=current, next=password_in(secret, NEXT), previous=previous, until=until
    )


def with_others(manifest: Live, passwords: Passwords) -> dict[str, Any]:
    """Return a Secret's manifest with the passwords beside the one that clients are told."""
    until = None if passwords.until is None else passwords.until.isoformat()
    texts = {NEXT: passwords.next, PREVIOUS: passwords.previous, UNTIL: until}
    data = {key: _encoded(text) for key, text in texts.items() if text is not None}
    return {**manifest, "data": {**manifest["data"], **data}}


def password_in(secret: Live | None, key: str = PASSWORD) -> str | None:
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


def without(secret: Live, kept: Callable[[str], bool]) -> dict[str, str]:
    """Return the data of a live users Secret with no more than the lines whose names are kept.

    What is kept stands there as before, also what `known_users` cannot read; a file that is no text
    is left as it is.
    """
    text = _text(secret, "htpasswd")
    if text is None:
        return dict(secret.get("data") or {})
    lines = text.splitlines(keepends=True)
    marks = _fingerprints(_text(secret, "fingerprints") or "")
    texts = {
        "htpasswd": "".join(line for line in lines if kept(line.partition(":")[0])),
        "fingerprints": json.dumps(
            {name: marks[name] for name in marks if kept(name)}, sort_keys=True
        ),
    }
    return {key: _encoded(one) for key, one in texts.items()}


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


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _time(text: str | None) -> datetime | None:
    try:
        found = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return found if found.tzinfo is not None else None
