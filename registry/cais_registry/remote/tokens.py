# SPDX-License-Identifier: Apache-2.0
"""How one shows who one is: a password (Basic), or tokens that a password is changed for."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from threading import Lock
from typing import Final
from urllib.parse import urlencode

from cais_registry.remote.challenge import Bearer, read_challenges
from cais_registry.remote.site import Site, site_of
from cais_registry.remote.transport import HTTPError, Response, Transport
from cais_registry.services.sources import SourceLost, SourceRefused

_MOST_ANSWER: Final = 1 << 20
_OK: Final = 200
_UNAUTHORIZED: Final = 401


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """Who imports.

    Attributes:
        site: The registry that the password is of.
        basic: Value of the `Authorization` header; None for nobody.
        auth_hosts: Other hosts that may be sent the password, for a token.
    """

    site: Site
    basic: str | None = field(repr=False)
    auth_hosts: frozenset[str] = frozenset()


class Tokens:
    """Answers challenges, and remembers what was answered. Several threads may use it."""

    def __init__(self, transport: Transport, login: Login) -> None:
        self._transport = transport
        self._login = login
        self._lock = Lock()
        self._is_basic = False
        self._tokens: dict[str, str] = {}

    def header(self, scope: str) -> str | None:
        """What to send to the registry, and only there; None before it has asked for anything.

        Args:
            scope: What the request needs, such as `repository:team/app:pull`.
        """
        if self._is_basic:
            return self._login.basic
        token = self._tokens.get(scope)
        return None if token is None else f"Bearer {token}"

    def has_token(self, scope: str) -> bool:
        """Whether the token server knows who asks: then a refusal is for this scope alone."""
        return scope in self._tokens

    def answer(self, response: Response, scope: str, sent: str | None) -> bool:
        """Do what an answer 401 asks for.

        Args:
            response: The answer.
            scope: What the request needs; what the challenge names is not asked for.
            sent: What was sent with the request.

        Returns:
            Whether to ask again.

        Raises:
            SourceLost: If the password would go where its owner has not said, or is refused.
        """
        bearer, basic = read_challenges(response.headers.getlist("WWW-Authenticate"))
        with self._lock:
            if self.header(scope) != sent:
                return True  # another thread has answered meanwhile
            if bearer is not None:
                self._tokens[scope] = self._fetch(bearer, scope)
                return True
            self._is_basic = basic and self._login.basic is not None
            return self._is_basic and sent is None

    def _fetch(self, bearer: Bearer, scope: str) -> str:
        headers = {}
        if self._login.basic is not None:
            headers["Authorization"] = self._login.basic
        self._check(bearer)
        query = {"scope": scope} | ({} if bearer.service is None else {"service": bearer.service})
        separator = "&" if "?" in bearer.realm else "?"
        response = self._transport.send(
            "GET", f"{bearer.realm}{separator}{urlencode(query)}", headers
        )
        try:
            if response.status != _OK:
                kind = SourceLost if response.status == _UNAUTHORIZED else SourceRefused
                raise kind(f"{bearer.realm} gives no token: it answers {response.status}")
            found = json.loads(response.read(_MOST_ANSWER))
            return str(found.get("token") or found["access_token"])
        except (HTTPError, ValueError, LookupError, AttributeError) as error:
            raise SourceLost(f"{bearer.realm} gives no token: {error}") from error
        finally:
            response.close()

    def _check(self, bearer: Bearer) -> None:
        ours = self._login.site
        try:
            site = site_of(bearer.realm)
            ours.check_not_weaker(site)
        except SourceRefused as error:
            raise SourceLost(f"the token server of {ours.host}: {error}") from error
        is_known = site.host == ours.host or site.host in self._login.auth_hosts
        if self._login.basic is not None and not is_known:
            raise SourceLost(
                f"{ours.host} wants the password sent to {site.host}: if that is right, allow it"
                f" with --auth-host {site.host}"
            )
