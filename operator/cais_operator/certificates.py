# SPDX-License-Identifier: Apache-2.0
"""Certificates as values, and how to read them. Pure: nothing here makes a key or asks the time."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """The installation's certificate authority.

    Attributes:
        certificate: PEM of the certificate that signs.
        key: PEM of its private key (PKCS#8); never logged.
        bundle: PEM of every CA certificate that clients should trust, the signing one first.
    """

    certificate: str
    key: str
    bundle: str

    def __repr__(self) -> str:
        """Show nothing of the key."""
        return "Authority(...)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """A server's certificate and key, as its Secret holds them.

    Attributes:
        certificate: PEM of the certificate.
        key: PEM of the private key (PKCS#8); never logged.
    """

    certificate: str
    key: str

    def __repr__(self) -> str:
        """Show nothing of the key."""
        return "Leaf(...)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a certificate says.

    Attributes:
        not_before: Start of validity, UTC.
        not_after: End of validity, UTC.
        dns: Host names it is for.
        ips: Addresses it is for.
        sha256: Fingerprint of the certificate (DER), hex.
    """

    not_before: datetime
    not_after: datetime
    dns: frozenset[str]
    ips: frozenset[str]
    sha256: str


def authority_from(secret: Mapping[str, Any]) -> Authority:
    """Read the installation's CA Secret (`tls.crt`, `tls.key`, `ca.crt`).

    Raises:
        ValueError: In words for a person, when it is no usable CA.
    """
    raise NotImplementedError


def leaf_from(secret: Mapping[str, Any]) -> Leaf:
    """Read a Secret of type kubernetes.io/tls.

    Raises:
        ValueError: When a key is missing or is no text.
    """
    raise NotImplementedError


def facts(pem: str) -> Facts:
    """Read the first certificate of a PEM text.

    Raises:
        ValueError: When there is none.
    """
    raise NotImplementedError
