# SPDX-License-Identifier: Apache-2.0
"""Passwords and htpasswd entries as Secrets hold them. Pure: nothing here hashes or draws."""

from collections.abc import Mapping
from dataclasses import dataclass

from cais_operator.observed import Live


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
    raise NotImplementedError


def known_users(secret: Live | None) -> Mapping[str, UserEntry]:
    """Read back the entries of a live users Secret; whatever is unreadable is left out."""
    raise NotImplementedError
