# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import binascii
import os
import ssl
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from cais_registry.config.errors import ConfigError

_KINDS = tuple(  # object identifiers; OpenSSL knows more kinds than the TLS library that serves
    bytes.fromhex(one)
    for one in ("2a864886f70d010101", "2a8648ce3d030107", "2b81040022", "06032b6570")
)
_PKCS8 = b"-----BEGIN PRIVATE KEY-----"
_NO_CHECK_TIME = 0x200000  # X509_V_FLAG_NO_CHECK_TIME, which the ssl module has no name for
_MOST_FLIGHTS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A certificate chain and its key, in PEM; they belong together, which was checked."""

    certificate: bytes = field(repr=False)
    key: bytes = field(repr=False)


def check(pair: Pair) -> None:
    """Make sure that a server can use a certificate and a key.

    Raises:
        ConfigError: If the key is not an unencrypted PKCS#8 one, or does not fit; no secret in it.
    """
    if _PKCS8 not in pair.key:
        raise ConfigError(
            "tls.keyFile: not an unencrypted PKCS#8 key (BEGIN PRIVATE KEY); convert it: "
            "openssl pkcs8 -topk8 -nocrypt -in tls.key -out tls-pkcs8.key"
        )
    if not any(kind in _beginning(pair.key) for kind in _KINDS):
        raise ConfigError(
            "tls.keyFile: a key of a kind that cannot be served; "
            "RSA, the curves P-256 and P-384, and Ed25519 can"
        )
    names = as_files(pair)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(*(path(fd) for fd in names))
    except (ssl.SSLError, OSError) as error:
        reason = getattr(error, "reason", None) or error
        raise ConfigError(f"tls: certificate and key cannot be used together: {reason}") from error
    finally:
        for fd in names:
            os.close(fd)


@dataclass(frozen=True, slots=True, kw_only=True)
class Validity:
    """From when to when a certificate is good, in seconds since 1970."""

    begin: float
    end: float


def validity(pair: Pair) -> Validity | None:
    """Tell how long the certificate is good; None if OpenSSL does not accept it for a server.

    The `ssl` module describes only a certificate that a handshake has verified. So there is one,
    in memory, whose client trusts this certificate and nothing else, at any time.
    """
    names = as_files(pair)
    try:
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.load_cert_chain(*(path(fd) for fd in names))
        client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        client.check_hostname = False
        client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | _NO_CHECK_TIME
        client.load_verify_locations(cadata=pair.certificate.decode("ascii", "ignore"))
        found = _handshake(server, client)
    except ssl.SSLError:
        return None
    finally:
        for fd in names:
            os.close(fd)
    times = [ssl.cert_time_to_seconds(str(found[name])) for name in ("notBefore", "notAfter")]
    return Validity(begin=times[0], end=times[1])


def _handshake(server: ssl.SSLContext, client: ssl.SSLContext) -> Mapping[str, object]:
    """What the client has seen of the server's certificate."""
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    asking = client.wrap_bio(back, there)
    answering = server.wrap_bio(there, back, server_side=True)
    for _ in range(_MOST_FLIGHTS):
        for side in (asking, answering):
            with suppress(ssl.SSLWantReadError):
                side.do_handshake()
        with suppress(ValueError):  # not done yet
            return asking.getpeercert() or {}
    raise ssl.SSLError("the handshake has no end")


def _beginning(key: bytes) -> bytes:
    """The first bytes of a key's DER, which say of what kind it is; empty if it is not PEM."""
    _, _, rest = key.partition(_PKCS8)
    try:
        return binascii.a2b_base64(b"".join(rest.split()[:1]))
    except binascii.Error:
        return b""


def as_files(pair: Pair) -> tuple[int, int]:
    """Put certificate and key into memory that has a name, and that forked workers inherit.

    What was checked is then what is served, whatever happens to the files meanwhile.

    Returns:
        Descriptors of certificate and key; `path` names them.
    """
    certificate = _in_memory("tls.crt", pair.certificate)
    return certificate, _in_memory("tls.key", pair.key)


def path(fd: int) -> str:
    """The name under which this process and its children can open a descriptor's file."""
    return f"/proc/self/fd/{fd}"


def _in_memory(name: str, content: bytes) -> int:
    fd = os.memfd_create(name, os.MFD_CLOEXEC)
    os.write(fd, content)
    return fd
