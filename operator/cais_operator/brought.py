# SPDX-License-Identifier: Apache-2.0
"""Whether a certificate that was brought can be served: an ordered chain of named checks. Pure.

Brought is what the operator has not signed itself: a Secret that the spec names, or the one that
cert-manager fills. What is good comes out in the form that the server reads.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from ipaddress import ip_address
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from cais_operator import chains, names
from cais_operator.certificates import Facts, Leaf, facts
from cais_operator.chains import Key
from cais_operator.names import Hosts
from cais_operator.resource import Registry

_CURVES = ("secp256r1", "secp384r1")  # the server's TLS library knows no other
_KEYS = ("tls.crt", "tls.key")
_RSA_BITS = (2048, 8192)
_BROKEN_HASHES = ("md5", "sha1")
_ALLOWED = "allowed are RSA of 2048 to 8192 bits, the curves P-256 and P-384, and Ed25519"


@dataclass(frozen=True, slots=True, kw_only=True)
class Brought:
    """A certificate that can be served.

    Attributes:
        leaf: The chain, the server's certificate first, and the key in PKCS#8.
        bundle: PEM of what clients should trust to accept it; empty when they know it already.
        facts: What the server's certificate says.
    """

    leaf: Leaf
    bundle: str
    facts: Facts

    @property
    def trust(self) -> str:
        """PEM of what verifies exactly this server: the bundle, and the chain itself."""
        return self.bundle + self.leaf.certificate


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why a certificate is not taken.

    Attributes:
        reason: Machine word, CamelCase; the condition's reason.
        message: Secret, key and rule, for a person.
        waits: Whether it may come right without a change of what is there.
    """

    reason: str
    message: str
    waits: bool = False


def judge(
    secret: Mapping[str, Any] | None, name: str, required: Hosts, *, now: datetime
) -> Brought | Refusal:
    """Judge a Secret that holds a certificate.

    Args:
        secret: The live Secret; None when there is none.
        name: Its name, for messages.
        required: Names and addresses that the certificate must cover; it may cover more.
        now: Aware, UTC.

    Returns:
        What to serve, or the first check that failed. Checks in order: SecretMissing, KeyMissing,
        Unparsable, KeyEncrypted, KeyWeak, KeyUnsupported, SignatureWeak, KeyMismatch,
        AuthorityMismatch, NotForServers, NamesMissing, NotYetValid, Expired.
    """
    if secret is None:
        message = f"there is no Secret {name} in this namespace: create it with tls.crt and tls.key"
        return Refusal(reason="SecretMissing", message=message, waits=True)
    found = _read(secret, required, now)
    failed: tuple[str, str] | None
    if isinstance(found, _Found):
        failed = next(filter(None, (check(found) for check in _CHAIN)), None)
        if failed is None:
            return found.brought()
    else:
        failed = found
    reason, rule = failed
    return Refusal(reason=reason, message=f"Secret {name}: {rule}", waits=reason == "NotYetValid")


def serves(secret: Mapping[str, Any] | None) -> Brought | None:
    """Return what a registry's own TLS Secret serves; None when no server could use it."""
    found = None if secret is None else _read(secret, Hosts(dns=()), None)
    usable = isinstance(found, _Found) and _key_mismatch(found) is None
    return found.brought() if isinstance(found, _Found) and usable else None


_Failed = tuple[str, str]  # reason, rule


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """What every check may look at."""

    chain: tuple[x509.Certificate, ...]
    authorities: tuple[x509.Certificate, ...]
    key: Key
    facts: Facts
    required: Hosts
    now: datetime | None

    @property
    def certificate(self) -> x509.Certificate:
        return self.chain[0]

    def brought(self) -> Brought:
        key = self.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ).decode()
        trusted = self.authorities or self.chain[-1:] * chains.is_self_signed(self.chain[-1])
        return Brought(
            leaf=Leaf(certificate=chains.pem(self.chain), key=key),
            bundle=chains.pem(trusted),
            facts=self.facts,
        )


def _read(
    secret: Mapping[str, Any], required: Hosts, now: datetime | None
) -> _Found | tuple[str, str]:
    """Parse the Secret, or tell why that cannot be done."""
    try:
        missing = next(
            (key for key in ("tls.crt", "tls.key") if not chains.data(secret, key)), None
        )
        if missing is not None:
            return "KeyMissing", f"has no {missing}: it needs tls.crt and tls.key"
        chain = chains.certificates(secret, "tls.crt")
        authorities = chains.certificates(secret, "ca.crt") if chains.data(secret, "ca.crt") else ()
        key = chains.private_key(secret, "tls.key")
        said = facts(chains.pem(chain))
    except ValueError as error:
        return "Unparsable", str(error)
    if key is None:
        return "KeyEncrypted", "tls.key is encrypted with a passphrase: store it without one"
    return _Found(
        chain=chain, authorities=authorities, key=key, facts=said, required=required, now=now
    )


def _key_strength(found: _Found) -> _Failed | None:
    key = found.key
    if isinstance(key, rsa.RSAPrivateKey):
        least, most = _RSA_BITS
        if key.key_size < least:
            return "KeyWeak", f"tls.key is an RSA key of {key.key_size} bits; {_ALLOWED}"
        allowed = key.key_size <= most
    elif isinstance(key, ec.EllipticCurvePrivateKey):
        allowed = key.curve.name in _CURVES
    else:
        allowed = isinstance(key, ed25519.Ed25519PrivateKey)
    return None if allowed else ("KeyUnsupported", f"the server cannot use tls.key; {_ALLOWED}")


def _signature(found: _Found) -> _Failed | None:
    used = chains.hash_name(found.certificate)
    if used not in _BROKEN_HASHES:
        return None
    return "SignatureWeak", f"tls.crt is signed with {used}, which clients refuse: have it renewed"


def _key_mismatch(found: _Found) -> _Failed | None:
    if found.certificate.public_key() == found.key.public_key():
        return None
    others = (one.public_key() for one in found.chain[1:])
    if found.key.public_key() in others:
        return (
            "KeyMismatch",
            "tls.crt must begin with the server's own certificate",
        )
    return "KeyMismatch", "tls.key does not belong to the certificate in tls.crt"


def _authority_mismatch(found: _Found) -> _Failed | None:
    if not found.authorities or chains.leads_to(found.chain, found.authorities):
        return None
    rule = "ca.crt did not sign tls.crt: put the CA in that clients should trust, or leave it out"
    return "AuthorityMismatch", rule


def _not_for_servers(found: _Found) -> _Failed | None:
    if chains.is_for_servers(found.certificate):
        return None
    return "NotForServers", "tls.crt is not for servers (extended key usage lacks serverAuth)"


def _names_missing(found: _Found) -> _Failed | None:
    wanted = (*found.required.dns, *found.required.ips)
    lacks = [name for name in wanted if not covers(found.facts, name)]
    if not lacks:
        return None
    has = ", ".join(sorted(found.facts.dns | found.facts.ips)) or "no names (a CN does not count)"
    return "NamesMissing", f"tls.crt does not cover {', '.join(lacks)}; it has {has}"


def _not_yet_valid(found: _Found) -> _Failed | None:
    if found.now is None or found.facts.not_before <= found.now:
        return None
    return "NotYetValid", f"tls.crt is valid only from {found.facts.not_before.isoformat()}"


def _expired(found: _Found) -> _Failed | None:
    if found.now is None or found.facts.not_after > found.now:
        return None
    return "Expired", f"tls.crt ended {found.facts.not_after.isoformat()}: put a new one in"


def covers(said: Facts, name: str) -> bool:
    """Return whether a certificate is for a host name or address; `*.` stands for one label."""
    if _is_address(name):
        return name in said.ips
    wanted = name.lower()
    _, dot, parent = wanted.partition(".")
    has = {one.lower() for one in said.dns}
    return wanted in has or (bool(dot) and f"*.{parent}" in has)


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def reached_by(registry: Registry, said: Facts | None) -> str:
    """Return the host to call a registry by: the Service's, or one that its certificate covers."""
    inside = names.inside(registry)
    if said is None or registry.spec.tls.is_disabled:
        return inside
    known = (inside, *registry.spec.expose.hostnames)
    return next((name for name in known if covers(said, name)), inside)


_CHAIN: tuple[Callable[[_Found], _Failed | None], ...] = (
    _key_strength,
    _signature,
    _key_mismatch,
    _authority_mismatch,
    _not_for_servers,
    _names_missing,
    _not_yet_valid,
    _expired,
)
