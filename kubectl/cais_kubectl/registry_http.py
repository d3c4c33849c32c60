# SPDX-License-Identifier: Apache-2.0
"""Requests to a registry as one of its users."""

from __future__ import annotations

import base64
import http.client
import json
import re
import socket
import ssl
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote

from cais_kubectl.errors import Failure
from cais_kubectl.way import Way

_TIMEOUT: Final = 30.0  # seconds
_PAGE: Final = 500  # names of one answer
_MOST: Final = 4 << 20  # bytes of one answer
_MANIFESTS: Final = (
    "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json,"
    " application/vnd.docker.distribution.manifest.list.v2+json,"
    " application/vnd.docker.distribution.manifest.v2+json"
)
_NEXT: Final = re.compile(r'<(/v2/[^>]+)>;\s*rel="next"')


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """A user of a registry."""

    user: str
    password: str = field(repr=False)

    def basic(self) -> str:
        """Return the two as HTTP's Basic scheme has them."""
        return base64.b64encode(f"{self.user}:{self.password}".encode()).decode()


class Registry:
    """One connection to a registry; every method raises `Failure` in the registry's words."""

    def __init__(self, way: Way, login: Login) -> None:
        self._way = way
        self._login = login
        self._connection = _Connection(way)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def repositories(self) -> list[str]:
        """Return the repositories that the user may see."""
        return self._names(f"/v2/_catalog?n={_PAGE}", "repositories")

    def tags(self, repository: str) -> list[str]:
        """Return the tags of a repository."""
        return self._names(f"/v2/{quote(repository)}/tags/list?n={_PAGE}", "tags")

    def digest(self, repository: str, tag: str) -> str:
        """Return what a tag points at."""
        path = f"/v2/{quote(repository)}/manifests/{quote(tag)}"
        headers, _ = self._ask("HEAD", path, f"{repository}:{tag}", accept=_MANIFESTS)
        return headers.get("Docker-Content-Digest") or ""

    def _names(self, path: str, key: str) -> list[str]:
        found: list[str] = []
        after: str | None = path
        while after:
            headers, said = self._ask("GET", after, path.partition("?")[0])
            found.extend(said.get(key) or ())
            link = _NEXT.search(headers.get("Link") or "")
            after = link[1] if link else None
        return found

    def _ask(
        self, method: str, path: str, what: str, accept: str = "application/json"
    ) -> tuple[http.client.HTTPMessage, dict[str, Any]]:
        headers = {
            "Authorization": f"Basic {self._login.basic()}",
            "Accept": accept,
            "Host": self._way.address,
        }
        try:
            self._connection.request(method, path, headers=headers)
            answer = self._connection.getresponse()
            data = answer.read(_MOST)
        except ssl.SSLCertVerificationError as error:
            raise Failure(
                f"the certificate at {self._where} is not that of {self._way.name}:"
                f" {error.verify_message}. Look at `kubectl cais status`"
            ) from error
        except (OSError, http.client.HTTPException) as error:
            words = str(error) or type(error).__name__
            raise Failure(f"{self._where} cannot be reached: {words}") from error
        if answer.status >= HTTPStatus.BAD_REQUEST:
            raise Failure(self._refusal(answer.status, data, what))
        return answer.headers, _json(data)

    @property
    def _where(self) -> str:
        way = self._way
        here = f"{way.host}:{way.port}"
        return way.address if here == way.address else f"{way.address} (by {here})"

    def _refusal(self, status: int, data: bytes, what: str) -> str:
        if status == HTTPStatus.UNAUTHORIZED:
            return (
                f"{self._way.address} does not take the password of {self._login.user}: if it was"
                " changed just now, try again; or name another user with --user"
            )
        errors = _json(data).get("errors") or [{}]
        words = errors[0].get("message") or f"status {status}"
        return f"{self._way.address} refuses {what} to {self._login.user}: {words}"


class _Connection(http.client.HTTPConnection):
    """Connects to one place and expects the certificate of another name."""

    def __init__(self, way: Way) -> None:
        super().__init__(way.host, way.port, timeout=_TIMEOUT)
        self._way = way

    def connect(self) -> None:
        way = self._way
        self.sock = socket.create_connection((way.host, way.port), _TIMEOUT)
        if not way.is_plain:
            self.sock = _trust(way.authority).wrap_socket(self.sock, server_hostname=way.name)


def _trust(authority: str | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=authority)
    # The bundle may name the server's own certificate, and certificates of one's own often lack
    # extensions that Python 3.13 asks for and docker does not.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


def _json(data: bytes) -> dict[str, Any]:
    try:
        said = json.loads(data) if data else {}
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}
