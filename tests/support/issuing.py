# SPDX-License-Identifier: Apache-2.0
"""A certificate authority that is not ours, and Secrets as people and cert-manager make them."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

Key = CertificateIssuerPrivateKeyTypes
PKCS1 = serialization.PrivateFormat.TraditionalOpenSSL
PKCS8 = serialization.PrivateFormat.PKCS8


def new_key() -> Key:
    return ec.generate_private_key(ec.SECP256R1())


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuer:
    """Signs whatever it is asked to.

    Attributes:
        certificate: PEM.
        chain: PEM of what a server has to send besides its own certificate.
    """

    name: x509.Name
    key: Key
    certificate: str
    chain: str = ""

    def sign(  # noqa: PLR0913 - what a certificate has
        self,
        key: Key,
        *names: str,
        is_authority: bool = False,
        begin: datetime | None = None,
        end: datetime | None = None,
        usage: x509.ObjectIdentifier | None = ExtendedKeyUsageOID.SERVER_AUTH,
        common: str = "server",
    ) -> str:
        """Return the PEM of a certificate for a key, for these names and addresses."""
        builder = unsigned(_name(common), self.name, key, begin, end).add_extension(
            x509.BasicConstraints(ca=is_authority, path_length=None), critical=True
        )
        if names:
            alternatives = x509.SubjectAlternativeName([_general(one) for one in names])
            builder = builder.add_extension(alternatives, critical=False)
        if usage is not None:
            builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        return _pem(builder.sign(self.key, _hash(self.key)))

    def intermediate(self) -> "Issuer":
        """Return an issuer below this one."""
        key = new_key()
        signed = self.sign(key, is_authority=True, usage=None, common="below")
        return Issuer(name=_name("below"), key=key, certificate=signed, chain=signed)


def issuer(name: str = "their CA") -> Issuer:
    """Return a new root."""
    key = new_key()
    signed = (
        unsigned(_name(name), _name(name), key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, _hash(key))
    )
    return Issuer(name=_name(name), key=key, certificate=_pem(signed))


def key_pem(
    key: Key, form: serialization.PrivateFormat = PKCS8, passphrase: bytes | None = None
) -> str:
    """Return the PEM of a key."""
    lock = (
        serialization.BestAvailableEncryption(passphrase)
        if passphrase
        else serialization.NoEncryption()
    )
    return key.private_bytes(serialization.Encoding.PEM, form, lock).decode()


def tls_data(certificate: str, key: str, authority: str | None = None) -> dict[str, str]:
    """Return the data of a Secret of type kubernetes.io/tls."""
    texts = {"tls.crt": certificate, "tls.key": key}
    if authority is not None:
        texts["ca.crt"] = authority
    return {name: base64.b64encode(text.encode()).decode() for name, text in texts.items()}


def issued(by: Issuer, *names: str, form: serialization.PrivateFormat = PKCS8) -> dict[str, str]:
    """Return the data of a good Secret, with the authority in it."""
    key = new_key()
    return tls_data(by.sign(key, *names) + by.chain, key_pem(key, form), by.certificate)


def fill(certificate: Mapping[str, Any], by: Issuer) -> dict[str, Any]:
    """Return the Secret that cert-manager makes for a Certificate."""
    spec = certificate["spec"]
    assert spec["privateKey"]["encoding"] == "PKCS8"
    wanted = (*spec.get("dnsNames", ()), *spec.get("ipAddresses", ()))
    annotations = {"cert-manager.io/certificate-name": certificate["metadata"]["name"]}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": spec["secretName"], "annotations": annotations},
        "type": "kubernetes.io/tls",
        "data": issued(by, *wanted),
    }


def unsigned(
    subject: x509.Name,
    by: x509.Name,
    key: Key,
    begin: datetime | None = None,
    end: datetime | None = None,
) -> x509.CertificateBuilder:
    """Return the beginning of a certificate for a key; without times it is good for years."""
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin or now - timedelta(days=3650))
        .not_valid_after(end or now + timedelta(days=3650))
    )


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _hash(key: Key) -> hashes.SHA256 | None:
    return None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()
