# SPDX-License-Identifier: Apache-2.0
"""Certificates as values, and how to read them. Pure: nothing here makes a key or asks the time."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

NEXT_CERTIFICATE = "next.crt"  # keys of the CA's Secret, while it is being replaced
FORMER_CERTIFICATE = "previous.crt"
FORMER_MARKS = "previous.fingerprints"


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """The installation's certificate authority.

    Attributes:
        certificate: PEM of the certificate that signs.
        key: PEM of its private key (PKCS#8); never logged.
        bundle: PEM of every CA certificate that clients should trust, the signing one first.
        former: PEM of the certificate that signed before, while it is being replaced; else empty.
        is_followed: Whether another one is published to take its place.
        former_marks: Key of the password fingerprints made under the former one; empty without it.
    """

    certificate: str
    key: str
    bundle: str
    is_followed: bool = False
    former: str = ""
    former_marks: bytes = b""

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
    made = Authority(
        certificate=text_in(secret, "tls.crt"),
        key=text_in(secret, "tls.key"),
        bundle=text_in(secret, "ca.crt"),
        is_followed=bool(_optional(secret, NEXT_CERTIFICATE)),
        former=_optional(secret, FORMER_CERTIFICATE),
        former_marks=bytes.fromhex(_optional(secret, FORMER_MARKS)),
    )
    check_authority(made, "tls.crt", "tls.key")
    if facts(made.certificate).sha256 != facts(made.bundle).sha256:
        raise ValueError("the CA Secret's ca.crt does not begin with its tls.crt")
    if made.former:
        certificate(made.former)
    return made


def check_authority(made: Authority, crt: str, key: str) -> None:
    """Make sure that a certificate may sign and has its key.

    Args:
        made: What was read.
        crt: Key of the Secret that holds the certificate, to be named.
        key: The same of the private key.

    Raises:
        ValueError: In words for a person.
    """
    if not is_pair(made.certificate, made.key):
        raise ValueError(f"the CA Secret's {key} does not belong to its {crt}")
    if not _is_authority(certificate(made.certificate)):
        raise ValueError(f"the CA Secret's {crt} may not sign certificates")


def bundle(*texts: str, without: str = "") -> str:
    """Return all certificates of some PEM texts, each once, in their order.

    Args:
        texts: Any number of certificates each.
        without: PEM of one that is left out.

    Raises:
        ValueError: When a text holds no certificate, or something else.
    """
    found = [one for text in texts for one in x509.load_pem_x509_certificates(text.encode())]
    dropped = [certificate(without)] if without else []
    kept = dict.fromkeys(one for one in found if one not in dropped)
    return "".join(one.public_bytes(serialization.Encoding.PEM).decode() for one in kept)


def leaf_from(secret: Mapping[str, Any]) -> Leaf:
    """Read a Secret of type kubernetes.io/tls.

    Raises:
        ValueError: When a key is missing or is no text.
    """
    return Leaf(certificate=text_in(secret, "tls.crt"), key=text_in(secret, "tls.key"))


@lru_cache(maxsize=16)  # one look asks about the same few many times
def facts(pem: str) -> Facts:
    """Read the first certificate of a PEM text.

    Raises:
        ValueError: When there is none.
    """
    found = certificate(pem)
    alternatives = _alternative_names(found)
    return Facts(
        not_before=found.not_valid_before_utc,
        not_after=found.not_valid_after_utc,
        dns=frozenset(alternatives.get_values_for_type(x509.DNSName)),
        ips=frozenset(map(str, alternatives.get_values_for_type(x509.IPAddress))),
        sha256=found.fingerprint(hashes.SHA256()).hex(),
    )


def facts_in(secret: Mapping[str, Any] | None) -> Facts | None:
    """Read the certificate of a TLS Secret; None when there is none to be read."""
    try:
        return None if secret is None else facts(leaf_from(secret).certificate)
    except ValueError:
        return None


@lru_cache(maxsize=16)  # the same
def certificate(pem: str) -> x509.Certificate:
    """Parse the first certificate of a PEM text.

    Raises:
        ValueError: When there is none.
    """
    return x509.load_pem_x509_certificate(pem.encode())


def private_key(pem: str) -> ec.EllipticCurvePrivateKey:
    """Parse a private key as this package makes them (elliptic curve, PKCS#8).

    Raises:
        ValueError: When it is anything else.
    """
    if not pem.startswith("-----BEGIN PRIVATE KEY-----"):
        raise ValueError("the private key is not in PKCS#8")  # the server reads no other form
    key = _load_key(pem)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError("the private key is not of an elliptic curve")  # noqa: TRY004 - its value
    return key


def is_pair(certificate_pem: str, key_pem: str) -> bool:
    """Return whether a key belongs to a certificate.

    Raises:
        ValueError: When either cannot be read.
    """
    return certificate(certificate_pem).public_key() == private_key(key_pem).public_key()


def is_signed_by(certificate_pem: str, authority_pem: str) -> bool:
    """Return whether the second certificate signed the first.

    Raises:
        ValueError: When either cannot be read.
    """
    issuer = certificate(authority_pem)
    try:
        certificate(certificate_pem).verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def text_in(secret: Mapping[str, Any], key: str) -> str:
    """Return one text of a Secret.

    Raises:
        ValueError: When it is missing, or no text.
    """
    data = secret.get("data") or {}
    if key not in data:
        raise ValueError(f"the Secret has no {key}")
    return base64.b64decode(data[key], validate=True).decode()


def encoded(text: str) -> str:
    """Return a text as a Secret's data hold it."""
    return base64.b64encode(text.encode()).decode()


def _optional(secret: Mapping[str, Any], key: str) -> str:
    return text_in(secret, key) if key in (secret.get("data") or {}) else ""


def _load_key(pem: str) -> object:
    try:
        return serialization.load_pem_private_key(pem.encode(), password=None)
    except (TypeError, UnsupportedAlgorithm) as error:
        raise ValueError(f"the private key cannot be read: {error}") from error


def _is_authority(found: x509.Certificate) -> bool:
    try:
        return found.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _alternative_names(found: x509.Certificate) -> x509.SubjectAlternativeName:
    try:
        return found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return x509.SubjectAlternativeName([])
