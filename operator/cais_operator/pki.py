# SPDX-License-Identifier: Apache-2.0
"""Keys, certificates, passwords and their hashes: the operator's only randomness."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from cais_operator.certificates import Authority, Leaf
from cais_operator.credentials import UserEntry
from cais_operator.names import Hosts


def new_authority(*, name: str, validity: timedelta, now: datetime) -> Authority:
    """Make a self-signed CA (ECDSA P-256)."""
    raise NotImplementedError


def issue(
    authority: Authority, wanted: Hosts, *, name: str, validity: timedelta, now: datetime
) -> Leaf:
    """Sign a new key's server certificate (ECDSA P-256, PKCS#8, serverAuth).

    Args:
        authority: Who signs; the leaf never outlives it.
        wanted: Subject alternative names.
        name: Common name, the Registry's name.
        validity: Length from now.
        now: Aware, UTC; the start is set a little before it, for clocks that are behind.
    """
    raise NotImplementedError


def new_password() -> str:
    """Return a new password: 32 letters and digits (about 190 bits)."""
    raise NotImplementedError


def fingerprint_key(authority: Authority) -> bytes:
    """Derive the key of password fingerprints from the CA's private key.

    So it stands in no Registry's namespace: whoever reads a users Secret has bcrypt to break.
    """
    raise NotImplementedError


def fingerprint(key: bytes, user: str, password: str) -> str:
    """Return the keyed fingerprint (HMAC-SHA-256, hex) that stands beside a hash."""
    raise NotImplementedError


def hash_users(
    passwords: Mapping[str, str], *, known: Mapping[str, UserEntry], key: bytes
) -> tuple[UserEntry, ...]:
    """Return an entry per user, sorted by name; bcrypt runs only where a fingerprint differs.

    Args:
        passwords: User name to password, everyone who may log in. At most 72 bytes each.
        known: Entries of the live users Secret (`credentials.known_users`).
        key: From `fingerprint_key`.
    """
    raise NotImplementedError
