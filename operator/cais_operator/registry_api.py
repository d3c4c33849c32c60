# SPDX-License-Identifier: Apache-2.0
"""Asks a registry server's admin API: what it has loaded, how full it is, how its last GC went."""

import asyncio
import json
import ssl
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import aiohttp

from cais_operator import __version__, answers, names
from cais_operator.observed import ServerState

_TIMEOUT = aiohttp.ClientTimeout(total=5.0, sock_connect=3.0)
_LARGEST = 256 * 1024  # bytes of an answer
_GOOD = (200, 202)
_CERTIFICATE = "its certificate is not accepted yet: {}"
_FAILURES = (aiohttp.ClientError, OSError, ValueError, TimeoutError)  # also of TLS
_QUESTIONS = ("config", "gc", "usage")  # usage last: it knows what that collection gave back


_Question = tuple[str, str, Mapping[str, Any] | None]  # method, path, JSON body


class RegistryApi(Protocol):
    """How the operator asks a server."""

    async def state(self, *, host: str, ca: str, password: str) -> ServerState:
        """Return what the server says, or why it could not be asked; raises nothing."""
        ...

    async def collect(self, *, host: str, ca: str, password: str, dry_run: bool) -> str | None:
        """Start a garbage collection; return why that failed, None when it runs."""
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
        requests = [("GET", question, None) for question in _QUESTIONS]
        try:
            config, gc, usage = await self._ask(host, ca, password, requests)
            return answers.state_of(config, gc, usage)
        except _FAILURES as error:
            return ServerState(error=_words(error))

    async def collect(self, *, host: str, ca: str, password: str, dry_run: bool) -> str | None:
        """See `RegistryApi`."""
        try:
            await self._ask(host, ca, password, [("POST", "gc", {"dryRun": dry_run})])
        except _FAILURES as error:
            return _words(error)
        return None

    async def _ask(
        self, host: str, ca: str, password: str, requests: Sequence[_Question]
    ) -> tuple[Mapping[str, Any], ...]:
        context = ssl.create_default_context(cadata=ca)
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
            answers = [await _send(session, base, request) for request in requests]
        await asyncio.sleep(0)  # lets the transport of the closed session go
        return tuple(answers)


async def _send(session: aiohttp.ClientSession, base: str, request: _Question) -> Mapping[str, Any]:
    """Return one JSON object.

    Raises:
        ValueError: When the answer is not good, with a JSON object of bounded size.
    """
    method, path, content = request
    where = f"{method} {path}"
    async with session.request(
        method, base + path, json=content, allow_redirects=False
    ) as response:
        if response.status not in _GOOD:
            raise ValueError(f"it answers {response.status} to {where}")
        body = await response.content.read(_LARGEST + 1)
        while len(body) <= _LARGEST and (more := await response.content.read(_LARGEST)):
            body += more
    if len(body) > _LARGEST:
        raise ValueError(f"its answer to {where} is larger than {_LARGEST} bytes")
    answer = _json(body, where)
    if not isinstance(answer, dict):
        raise ValueError(f"its answer to {where} is not a JSON object")  # noqa: TRY004 - the server's fault, not a caller's
    return answer


def _json(body: bytes, where: str) -> object:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):  # brackets without end
        raise ValueError(f"its answer to {where} is not JSON") from None


def _words(error: BaseException) -> str:
    if isinstance(error, ssl.SSLError | aiohttp.ClientSSLError):
        return _CERTIFICATE.format(error)
    if isinstance(error, TimeoutError):
        return "it does not answer in time"
    return str(error)[:500] or type(error).__name__
