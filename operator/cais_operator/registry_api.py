# SPDX-License-Identifier: Apache-2.0
"""Asks a registry server's admin API: what it has loaded, how full it is, how its last GC went."""

import asyncio
import json
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How to reach one server.

    Attributes:
        host: ClusterIP, or address of a pod.
        name: Host name that the server's certificate must cover.
        ca: PEM of what the certificate is verified with; None: plain HTTP.
        password: Of the user `cais-gc`.
    """

    host: str
    name: str
    ca: str | None
    password: str = field(repr=False)


class RegistryApi(Protocol):
    """How the operator asks a server."""

    async def state(self, way: Way) -> ServerState:
        """Return what the server says, or why it could not be asked; raises nothing."""
        ...

    async def collect(self, way: Way, *, dry_run: bool) -> str | None:
        """Start a garbage collection; return why that failed, None when it runs."""
        ...


class HttpRegistryApi:
    """Asks by the ClusterIP, with the narrow `cais-gc` account."""

    def __init__(self, port: int = names.PORT) -> None:
        self._port = port

    async def state(self, way: Way) -> ServerState:
        """See `RegistryApi`."""
        requests = [("GET", question, None) for question in _QUESTIONS]
        try:
            config, gc, usage = await self._ask(way, requests)
            return answers.state_of(config, gc, usage)
        except _FAILURES as error:
            return ServerState(error=_words(error), is_untrusted=_is_untrusted(error))

    async def collect(self, way: Way, *, dry_run: bool) -> str | None:
        """See `RegistryApi`."""
        try:
            await self._ask(way, [("POST", "gc", {"dryRun": dry_run})])
        except _FAILURES as error:
            return _words(error)
        return None

    async def _ask(self, way: Way, requests: Sequence[_Question]) -> tuple[Mapping[str, Any], ...]:
        context = True if way.ca is None else _trust(way.ca)
        authority = f"[{way.host}]" if ":" in way.host else way.host
        scheme = "http" if way.ca is None else "https"
        base = f"{scheme}://{authority}:{self._port}/cais/v1/"
        headers = {
            "Authorization": aiohttp.encode_basic_auth(names.GC, way.password),
            "User-Agent": f"cais-operator/{__version__}",
        }
        connector = aiohttp.TCPConnector(ssl=context, limit=1)
        async with aiohttp.ClientSession(
            connector=connector, timeout=_TIMEOUT, headers=headers, trust_env=False
        ) as session:
            name = way.name if way.ca else None
            answers = [await _send(session, base, request, name) for request in requests]
        await asyncio.sleep(0)  # lets the transport of the closed session go
        return tuple(answers)


def _trust(ca: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=ca)
    # A brought certificate may come without its root: then it is trusted itself.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    # Python 3.13 asks for extensions (RFC 5280) that certificates of one's own often lack, and that
    # docker and containerd do not ask for.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


async def _send(
    session: aiohttp.ClientSession, base: str, request: _Question, name: str | None
) -> Mapping[str, Any]:
    """Return one JSON object.

    Raises:
        ValueError: When the answer is not good, with a JSON object of bounded size.
    """
    method, path, content = request
    where = f"{method} {path}"
    async with session.request(
        method, base + path, json=content, allow_redirects=False, server_hostname=name
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


def _is_untrusted(error: BaseException) -> bool:
    return isinstance(error, ssl.SSLError | aiohttp.ClientSSLError)


def _words(error: BaseException) -> str:
    if _is_untrusted(error):
        return _CERTIFICATE.format(error)
    if isinstance(error, TimeoutError):
        return "it does not answer in time"
    return str(error)[:500] or type(error).__name__
