# SPDX-License-Identifier: Apache-2.0
"""Requests to one registry, with login and redirects. Blocks: callers use threads."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final
from urllib.parse import urljoin

from cais_registry.remote.site import site_of
from cais_registry.remote.tokens import Login, Tokens
from cais_registry.remote.transport import HTTPError, Response, Transport
from cais_registry.services.sources import SourceLost, SourceMissing, SourceRefused

_MOST_REDIRECTS: Final = 5
_REDIRECTS: Final = frozenset((301, 302, 303, 307, 308))
_MOST_LOGINS: Final = 3
_UNAUTHORIZED: Final = 401
_MISSING: Final = 404
_ERRORS: Final = 400
_MOST_ERROR: Final = 64 << 10


class Client:
    """Asks one registry.

    Attributes:
        site: Whom.
    """

    def __init__(self, transport: Transport, login: Login) -> None:
        self.site = login.site
        self._transport = transport
        self._tokens = Tokens(transport, login)

    def get(
        self, url: str, scope: str, headers: Mapping[str, str] | None = None, *, method: str = "GET"
    ) -> Response:
        """Ask; the caller reads the body, and closes the answer.

        Args:
            url: A path, or an URL of the same registry.
            scope: What a token has to be good for.
            headers: More to send.
            method: GET or HEAD.

        Raises:
            SourceMissing: If there is no such thing.
            SourceRefused: If the registry refuses.
            SourceLost: If it does not answer, or a login does not work.
        """
        target = urljoin(self.site.url, url)
        response = self._followed(method, target, scope, headers or {})
        if response.status < _ERRORS:
            return response
        with response:
            if response.status == _UNAUTHORIZED and not self._tokens.has_token(scope):
                raise SourceLost(f"{self.site.host} does not let in: {_explain(response)}")
            kind = SourceMissing if response.status == _MISSING else SourceRefused
            raise kind(f"it is not given out ({_explain(response)})")

    def _followed(self, method: str, url: str, scope: str, headers: Mapping[str, str]) -> Response:
        """Follow redirects; who is not the registry does not learn who asks."""
        for _ in range(_MOST_REDIRECTS):
            site = site_of(url)
            self.site.check_not_weaker(site)
            if site == self.site:
                response = self._authorized(method, url, scope, headers)
            else:
                response = self._transport.send(method, url, headers)
            target = response.headers.get("Location")
            if response.status not in _REDIRECTS or target is None:
                return response
            response.close()
            url = urljoin(url, target)
        raise SourceRefused(f"more than {_MOST_REDIRECTS} redirects")

    def _authorized(
        self, method: str, url: str, scope: str, headers: Mapping[str, str]
    ) -> Response:
        for attempt in range(_MOST_LOGINS):
            sent = self._tokens.header(scope)
            login = {} if sent is None else {"Authorization": sent}
            response = self._transport.send(method, url, {**headers, **login})
            is_last = attempt == _MOST_LOGINS - 1
            if response.status != _UNAUTHORIZED or is_last:
                break
            if not self._answer(response, scope, sent):
                break
            response.close()
        return response

    def _answer(self, response: Response, scope: str, sent: str | None) -> bool:
        """Get a login that a refusal asks for; False where there is none."""
        try:
            return self._tokens.answer(response, scope, sent)
        except Exception:
            response.close()
            raise


def _explain(response: Response) -> str:
    """The first error in the registry's own words."""
    try:
        first = json.loads(response.read(_MOST_ERROR))["errors"][0]
        words = f"{first['code']} {first.get('message', '')}"
    except (HTTPError, ValueError, LookupError, TypeError, AttributeError):
        words = ""
    return f"{response.status} {words[:200]}".strip()
