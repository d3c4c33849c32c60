# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import ssl
from dataclasses import dataclass, field

from cais_registry.config.errors import ConfigError

_PKCS8 = b"-----BEGIN PRIVATE KEY-----"


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
    names = as_files(pair)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(*(path(fd) for fd in names))
    except (ssl.SSLError, OSError) as error:
        reason = getattr(error, "reason", None) or error
        raise ConfigError(f"tls: certificate and key cannot be used together: {reason}") from error
    finally:
        for fd in names:
            os.close(fd)


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
