# SPDX-License-Identifier: Apache-2.0
"""Certificate chains and keys of any kind, as Secrets of others hold them. Pure."""

import base64
from collections.abc import Iterable, Mapping
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID

Key = CertificateIssuerPrivateKeyTypes
_LONGEST_CHAIN = 16
_LARGEST_KEY = 16 * 1024  # bytes; reading larger numbers takes long
_UNREADABLE = (
    ValueError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)


def data(secret: Mapping[str, Any], key: str) -> bytes:
    """Return what a Secret holds under a key; empty when there is nothing.

    Raises:
        ValueError: When it is not base64.
    """
    try:
        return base64.b64decode((secret.get("data") or {}).get(key) or "", validate=True).strip()
    except ValueError as error:
        raise ValueError(f"{key} is not base64") from error


def certificates(secret: Mapping[str, Any], key: str) -> tuple[x509.Certificate, ...]:
    """Read the certificates that stand under a key.

    Raises:
        ValueError: In words for a person, when there is none, or one that cannot be read.
    """
    try:
        found = tuple(x509.load_pem_x509_certificates(data(secret, key)))
        for one in found:
            one.public_key()
            _ = one.extensions
    except _UNREADABLE as error:
        raise ValueError(f"{key} cannot be read as PEM certificates") from error
    if len(found) > _LONGEST_CHAIN:
        raise ValueError(f"{key} holds {len(found)} certificates; at most {_LONGEST_CHAIN} may be")
    return found


def private_key(secret: Mapping[str, Any], key: str) -> Key | None:
    """Read a private key in any PEM form; None when it is encrypted.

    Raises:
        ValueError: In words for a person; they tell nothing of the key.
    """
    content = data(secret, key)
    if len(content) > _LARGEST_KEY:
        raise ValueError(f"{key} is larger than {_LARGEST_KEY} bytes")
    try:
        found = serialization.load_pem_private_key(content, password=None)
    except TypeError:  # the library's way to say that it lacks a passphrase
        return None
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError(f"{key} cannot be read as a private key in PEM") from None
    return found  # type: ignore[return-value]  # the few kinds that cannot sign are refused later


def pem(chain: Iterable[x509.Certificate]) -> str:
    """Return certificates as PEM, one after the other, and nothing else that stood there."""
    return "".join(one.public_bytes(serialization.Encoding.PEM).decode() for one in chain)


def is_self_signed(certificate: x509.Certificate) -> bool:
    """Return whether a certificate has signed itself, as roots have."""
    return _signed(certificate, certificate)


def leads_to(
    chain: tuple[x509.Certificate, ...], authorities: tuple[x509.Certificate, ...]
) -> bool:
    """Return whether the first certificate is one of the authorities', over the others or not."""
    current, left = chain[0], list(chain[1:])
    for _ in range(_LONGEST_CHAIN):
        if current in authorities or any(_signed(current, one) for one in authorities):
            return True
        issuer = next((one for one in left if _signed(current, one)), None)
        if issuer is None:
            return False
        left.remove(issuer)
        current = issuer
    return False


def is_for_servers(certificate: x509.Certificate) -> bool:
    """Return whether a certificate may be a server's: without a list of usages it may be all."""
    try:
        usages = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return True
    any_usage = ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE
    return ExtendedKeyUsageOID.SERVER_AUTH in usages or any_usage in usages


def hash_name(certificate: x509.Certificate) -> str:
    """Return the name of the hash under a certificate's signature; empty when it has none."""
    try:
        used = certificate.signature_hash_algorithm
    except UnsupportedAlgorithm:
        return ""
    return used.name if used is not None else ""


def _signed(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True
