# SPDX-License-Identifier: Apache-2.0
"""Which CA a server's certificate is of, seen by a TLS handshake and nothing else."""

import asyncio
import contextlib
import ssl
from collections.abc import Callable
from enum import Enum
from typing import Protocol

from cais_operator import names

_PATIENCE = 5.0  # seconds for connection and handshake together


class Served(Enum):
    """What a handshake showed."""

    TRUSTED = "trusted"
    ANOTHER = "another"  # a certificate that this CA has not signed, or that is not good
    SILENCE = "silence"  # no TLS server answered


class Handshake(Protocol):
    """How the operator looks at a server's certificate."""

    async def __call__(self, *, host: str, ca: str) -> Served:
        """Tell whether a client that trusts this CA alone would go on; raises nothing."""
        ...


class TlsHandshake:
    """Connects, shakes hands, and leaves."""

    def __init__(
        self, address: Callable[[str], tuple[str, int]] = lambda host: (host, names.PORT)
    ) -> None:
        """Say where a host is reached.

        Args:
            address: From a ClusterIP to host and port.
        """
        self._address = address

    async def __call__(self, *, host: str, ca: str) -> Served:
        """See `Handshake`.

        Args:
            host: ClusterIP; the certificate must cover it.
            ca: PEM of one CA certificate.
        """
        context = ssl.create_default_context(cadata=ca)
        reached, port = self._address(host)
        try:
            async with asyncio.timeout(_PATIENCE):
                _, writer = await asyncio.open_connection(
                    reached, port, ssl=context, server_hostname=host
                )
        except ssl.SSLCertVerificationError:
            return Served.ANOTHER
        except (OSError, TimeoutError):  # also of TLS
            return Served.SILENCE
        writer.close()
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(_PATIENCE):
                await writer.wait_closed()
        return Served.TRUSTED
