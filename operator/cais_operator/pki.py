# SPDX-License-Identifier: Apache-2.0
"""Keys, certificates, passwords and their hashes: the operator's only randomness.

Time comes in as an argument.
"""

import hashlib
import hmac
import secrets
import string
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from ipaddress import ip_address

import bcrypt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from cais_operator.certificates import Authority, Leaf, certificate, private_key
from cais_operator.credentials import UserEntry
from cais_operator.names import Hosts
from cais_operator.token_keys import TokenKey

_BEHIND = timedelta(minutes=5)  # how far a client's clock may be behind ours
_ALPHABET = string.ascii_letters + string.digits  # nothing that a shell or a URL would read
_PASSWORD_LENGTH = 32
_ROUNDS = 10  # bcrypt's cost, as htpasswd tools choose it: some 50 ms a check


def new_authority(*, name: str, validity: timedelta, now: datetime) -> Authority:
    """Make a self-signed CA (ECDSA P-256).

    Args:
        name: Begins the common name, so that a person finds it in a trust store. What follows is
            of the key: of two that are trusted at a time none is taken for the other.
        validity: Length from now.
        now: Aware, UTC.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    known_by = _subject_key(key.public_key())
    subject = _name(f"{name} {known_by.digest.hex()[:8]}")
    signed = (
        _builder(subject, subject, key.public_key(), now, now + validity)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(known_by, critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = _certificate_pem(signed)
    return Authority(certificate=pem, key=_key_pem(key), bundle=pem)


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
    issuer = certificate(authority.certificate)
    signer = private_key(authority.key)
    key = ec.generate_private_key(ec.SECP256R1())
    end = min(now + validity, issuer.not_valid_after_utc)
    signed = (
        _builder(_name(name), issuer.subject, key.public_key(), now, end)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([_SERVER]), critical=False)
        .add_extension(_alternative_names(wanted), critical=False)
        .add_extension(_subject_key(key.public_key()), critical=False)
        .add_extension(_authority_key(issuer, signer.public_key()), critical=False)
        .sign(signer, hashes.SHA256())
    )
    return Leaf(certificate=_certificate_pem(signed), key=_key_pem(key))


def new_password() -> str:
    """Return a new password: 32 letters and digits (about 190 bits)."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(_PASSWORD_LENGTH))


def new_revision() -> str:
    """Return a name for a content that tells nothing of it."""
    return secrets.token_hex(8)


def new_token_key(now: datetime) -> TokenKey:
    """Make a key that signs tokens (Ed25519, PKCS#8).

    Args:
        now: Aware, UTC.
    """
    pem = _key_pem(Ed25519PrivateKey.generate())
    return TokenKey(created=now.replace(microsecond=0), pem=pem)


def fingerprint_key(authority: Authority) -> bytes:
    """Derive the key of password fingerprints from the CA's private key.

    So it stands in no Registry's namespace: whoever reads a users Secret has bcrypt to break.
    """
    return hmac.digest(authority.key.encode(), b"cais: password fingerprints", "sha256")


def fingerprint(key: bytes, user: str, password: str, hashed: str) -> str:
    """Return the keyed fingerprint (HMAC-SHA-256, hex) that stands beside a hash.

    It is of the hash as well: a hash that somebody has put in its place is not taken for ours.
    """
    return hmac.new(key, f"{user}:{hashed}:{password}".encode(), hashlib.sha256).hexdigest()


def hash_users(
    passwords: Mapping[str, Sequence[str]],
    *,
    known: Mapping[str, Sequence[UserEntry]],
    key: bytes,
    former_key: bytes = b"",
) -> tuple[UserEntry, ...]:
    """Return an entry per password, sorted by name; bcrypt runs only where a fingerprint differs.

    Takes some 50 ms of CPU for each password that is not recalled (`recall_users`): run it outside
    the event loop.

    Args:
        passwords: User name to passwords, everyone who may log in: one each, or two while the one
            is being replaced by the other. At most 72 bytes each.
        known: Entries of the live users Secret (`credentials.known_users`).
        key: From `fingerprint_key`.
        former_key: The same of the CA before, while there is one: what it knows is marked anew.
    """
    keys = (key, former_key) if former_key else (key,)
    return tuple(
        _recall(name, password, known, keys) or _new_entry(name, password, key)
        for name, password in _each(passwords)
    )


def recall_users(
    passwords: Mapping[str, Sequence[str]],
    *,
    known: Mapping[str, Sequence[UserEntry]],
    key: bytes,
    former_key: bytes = b"",
) -> tuple[UserEntry, ...] | None:
    """Return what `hash_users` would, at once; None when a password is to be hashed."""
    keys = (key, former_key) if former_key else (key,)
    entries = []
    for name, password in _each(passwords):
        one = _recall(name, password, known, keys)
        if one is None:
            return None
        entries.append(one)
    return tuple(entries)


def _each(passwords: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, str]]:
    for name, given in sorted(passwords.items()):
        for password in given:
            yield name, password


def is_hashed(password: str, entries: Sequence[UserEntry]) -> bool:
    """Return whether one of the hashes is of a password; runs bcrypt, some 50 ms for each."""
    return any(bcrypt.checkpw(password.encode(), one.hash.encode()) for one in entries)


def _recall(
    name: str, password: str, known: Mapping[str, Sequence[UserEntry]], keys: Sequence[bytes]
) -> UserEntry | None:
    """Return the entry that is of this password, marked with the first key; None without one."""
    for one in known.get(name, ()):
        marks = [fingerprint(key, name, password, one.hash) for key in keys]
        if any(hmac.compare_digest(one.fingerprint, mark) for mark in marks):
            return replace(one, fingerprint=marks[0])
    return None


def _new_entry(name: str, password: str, key: bytes) -> UserEntry:
    hashed = bcrypt.hashpw(password.encode(), bcrypt.gensalt(_ROUNDS)).decode()
    return UserEntry(name=name, hash=hashed, fingerprint=fingerprint(key, name, password, hashed))


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    now: datetime,
    end: datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BEHIND)
        .not_valid_after(end)
    )


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _alternative_names(wanted: Hosts) -> x509.SubjectAlternativeName:
    dns = [x509.DNSName(name) for name in wanted.dns]
    return x509.SubjectAlternativeName([*dns, *(x509.IPAddress(ip_address(i)) for i in wanted.ips)])


def _subject_key(key: ec.EllipticCurvePublicKey) -> x509.SubjectKeyIdentifier:
    return x509.SubjectKeyIdentifier.from_public_key(key)


def _authority_key(
    issuer: x509.Certificate, key: ec.EllipticCurvePublicKey
) -> x509.AuthorityKeyIdentifier:
    try:
        found = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    except x509.ExtensionNotFound:  # a CA that was brought, not made here
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(key)
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(found.value)


def _certificate_pem(signed: x509.Certificate) -> str:
    return signed.public_bytes(serialization.Encoding.PEM).decode()


def _key_pem(key: ec.EllipticCurvePrivateKey | Ed25519PrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


_SERVER = ExtendedKeyUsageOID.SERVER_AUTH
