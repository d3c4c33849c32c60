# SPDX-License-Identifier: Apache-2.0
"""One request over the network, with patience. The only importer of urllib3."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import Final

import urllib3
from urllib3.exceptions import HTTPError
from urllib3.util import Retry, Timeout

from cais_registry.services.sources import SourceLost, SourceRefused

__all__ = ["HTTPError", "Response", "Transport"]

Response = urllib3.BaseHTTPResponse

_BUSY: Final = frozenset((429, 500, 502, 503, 504))
_ATTEMPTS: Final = 5
_LONGEST_PAUSE: Final = 60
_TIMEOUT: Final = Timeout(connect=15, read=60)
_CONNECTIONS: Final = 8


def trust(ca_file: str | None) -> ssl.SSLContext:
    """The system's certificates, and those of a file besides.

    Raises:
        OSError: If the file cannot be used.
    """
    context = ssl.create_default_context()
    if ca_file is not None:
        context.load_verify_locations(cafile=ca_file)
    # Python 3.13 asks for extensions (RFC 5280) that certificates of one's own often lack, and that
    # docker and containerd do not ask for.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


class Transport:
    """Sends requests; proxies of the environment are not used. Blocks: callers use threads."""

    def __init__(self, context: ssl.SSLContext, *, pause_seconds: float = 0.5) -> None:
        """Prepare.

        Args:
            context: What is trusted.
            pause_seconds: After the first failure; then twice as long each time.
        """
        self._pool = urllib3.PoolManager(maxsize=_CONNECTIONS, ssl_context=context)
        self._retries = Retry(
            total=_ATTEMPTS,
            other=0,  # a certificate is not better the next time
            redirect=0,
            status_forcelist=_BUSY,
            allowed_methods=frozenset(("GET", "HEAD")),
            backoff_factor=pause_seconds,
            backoff_max=_LONGEST_PAUSE,
            backoff_jitter=pause_seconds,
            raise_on_status=False,
            raise_on_redirect=False,
            respect_retry_after_header=True,
            retry_after_max=_LONGEST_PAUSE,
        )

    def send(self, method: str, url: str, headers: Mapping[str, str]) -> Response:
        """Send a GET or HEAD; redirects are not followed, the body is not read yet.

        A server that is busy (429, 5xx) is asked again, at the time that it names.

        Raises:
            SourceLost: If nobody answers.
            SourceRefused: If the answer is no HTTP.
        """
        sent = {"User-Agent": "cais-registry", "Accept-Encoding": "identity", **headers}
        try:
            return self._pool.request(
                method,
                url,
                headers=sent,
                retries=self._retries,
                redirect=False,
                timeout=_TIMEOUT,
                preload_content=False,
                decode_content=False,
            )
        except urllib3.exceptions.LocationValueError as error:
            raise SourceRefused(f"{url[:200]} cannot be asked: {error}") from error
        except HTTPError as error:
            raise SourceLost(f"{url[:200]} cannot be asked: {_reason(error)}") from error


def _reason(error: HTTPError) -> str:
    """What is behind "max retries exceeded"."""
    return str(getattr(error, "reason", None) or error)[:300]
