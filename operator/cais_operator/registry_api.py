# SPDX-License-Identifier: Apache-2.0
"""Asks a registry server's admin API: what it has loaded, how full it is, how its last GC went."""

import asyncio
import json
import ssl
from collections.abc import Mapping
from typing import Any, Protocol

import aiohttp

from cais_operator import __version__, names
from cais_operator.observed import ServerState

_TIMEOUT = aiohttp.ClientTimeout(total=5.0, sock_connect=3.0)
_LARGEST = 256 * 1024  # bytes of an answer
_OK = 200
_CERTIFICATE = "its certificate is not accepted yet: {}"
_QUESTIONS = ("config", "gc", "usage")  # usage last: it knows what that collection gave back


class RegistryApi(Protocol):
    """How the operator asks a server."""

    async def state(self, *, host: str, ca: str, password: str) -> ServerState:
        """Return what the server says, or why it could not be asked; raises nothing."""
        ...


class HttpRegistryApi:
    """Asks over HTTPS, with the installation's CA and the narrow `cais-gc` account."""

    def __init__(self, port: int = names.PORT) -> None:
        self._port = port

    async def state(self, *, host: str, ca: str, password: str) -> ServerState:
        """See `RegistryApi`.

        Args:
            host: ClusterIP; the certificate must cover it.
            ca: PEM of the CA bundle.
            password: Of the user `cais-gc`.
        """
        try:
            context = ssl.create_default_context(cadata=ca)
            config, gc, usage = await self._ask(host, context, password)
        except (ssl.SSLError, aiohttp.ClientSSLError) as error:
            return ServerState(error=_CERTIFICATE.format(error))
        except (aiohttp.ClientError, OSError, ValueError, TimeoutError) as error:
            return ServerState(error=_words(error))
        files = config.get("files")
        return ServerState(
            files={str(key): str(text) for key, text in (files or {}).items()},
            config_error=config.get("error"),
            usage=usage,
            gc=gc,
        )

    async def _ask(
        self, host: str, context: ssl.SSLContext, password: str
    ) -> tuple[Mapping[str, Any], ...]:
        authority = f"[{host}]" if ":" in host else host
        base = f"https://{authority}:{self._port}/cais/v1/"
        headers = {
            "Authorization": aiohttp.encode_basic_auth(names.GC, password),
            "User-Agent": f"cais-operator/{__version__}",
        }
        connector = aiohttp.TCPConnector(ssl=context, limit=1)
        async with aiohttp.ClientSession(
            connector=connector, timeout=_TIMEOUT, headers=headers, trust_env=False
        ) as session:
            answers = [await _get(session, base + question) for question in _QUESTIONS]
        await asyncio.sleep(0)  # lets the transport of the closed session go
        return tuple(answers)


async def _get(session: aiohttp.ClientSession, url: str) -> Mapping[str, Any]:
    """Return one JSON object.

    Raises:
        ValueError: When the answer is not 200 with a JSON object of bounded size.
    """
    async with session.get(url, allow_redirects=False) as response:
        if response.status != _OK:
            raise ValueError(f"it answers {response.status} to GET {response.url.path}")
        body = await response.content.read(_LARGEST + 1)
        while len(body) <= _LARGEST and (more := await response.content.read(_LARGEST)):
            body += more
    if len(body) > _LARGEST:
        raise ValueError(f"its answer to GET {response.url.path} is larger than {_LARGEST} bytes")
    answer = json.loads(body)
    if not isinstance(answer, dict):
        raise ValueError(f"its answer to GET {response.url.path} is not a JSON object")  # noqa: TRY004 - the server's fault, not a caller's
    return answer


def _words(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "it does not answer in time"
    return str(error)[:500] or type(error).__name__
