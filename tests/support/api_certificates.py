# SPDX-License-Identifier: Apache-2.0
"""The CA of a test's API server, and the certificates of its users."""

import ipaddress
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from support.issuing import Key, key_pem, new_key, unsigned

ELSEWHERE = "api.behind-a-proxy.test"  # a name that no resolver knows


def certificates(folder: Path) -> None:
    """One CA, a serving certificate, an admin, and a key for tokens."""
    ca_key = _key(folder / "ca.key")
    public = _key(folder / "tokens.key").public_key()
    (folder / "tokens.pub").write_bytes(
        public.public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tests")])
    ca = (
        _builder(ca_name, ca_name, ca_key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(sign=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key()), False)
        .sign(ca_key, hashes.SHA256())
    )
    _write(folder / "ca.crt", ca)
    for name, common, group in (
        ("apiserver", "kube-apiserver", "servers"),
        ("admin", "admin", "system:masters"),
    ):
        client_certificate(folder, folder, name, common, group)


def client_certificate(
    authority: Path, folder: Path, name: str, common: str, group: str = "tests"
) -> None:
    """A key and a certificate for a user, and for a server on loopback, by the tests' CA."""
    ca = x509.load_pem_x509_certificate((authority / "ca.crt").read_bytes())
    ca_key = serialization.load_pem_private_key((authority / "ca.key").read_bytes(), None)
    assert isinstance(ca_key, ec.EllipticCurvePrivateKey)
    key = _key(folder / f"{name}.key")
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, group),
            x509.NameAttribute(NameOID.COMMON_NAME, common),
        ]
    )
    names = [x509.DNSName("localhost"), x509.DNSName(ELSEWHERE)]
    addresses = [x509.IPAddress(ipaddress.ip_address("127.0.0.1")), *names]
    uses = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    by = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key())
    leaf = (
        _builder(subject, ca.subject, key)
        .add_extension(x509.SubjectAlternativeName(addresses), critical=False)
        .add_extension(x509.ExtendedKeyUsage(uses), critical=False)
        .add_extension(_usage(sign=False), critical=True)
        .add_extension(by, critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    _write(folder / f"{name}.crt", leaf)


def _builder(subject: x509.Name, issuer: x509.Name, key: Key) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return unsigned(subject, issuer, key, now - timedelta(minutes=5), now + timedelta(days=1))


def _usage(*, sign: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not sign,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=sign,
        crl_sign=sign,
        encipher_only=False,
        decipher_only=False,
    )


def _key(path: Path) -> Key:
    key = new_key()
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(key_pem(key))
    return key


def _write(path: Path, certificate: x509.Certificate) -> None:
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
