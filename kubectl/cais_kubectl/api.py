# SPDX-License-Identifier: Apache-2.0
"""Requests to the Kubernetes API, through the socket that `kubectl proxy` opens."""

from __future__ import annotations

import http.client
import json
import socket
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from cais_kubectl.errors import Failure, Forbidden, NotFound

if TYPE_CHECKING:
    from datetime import datetime

Object = dict[str, Any]
GROUP: Final = "/apis/cais.dev/v1alpha1"
_TIMEOUT: Final = 30.0  # seconds
_PAGE: Final = 500  # objects of one LIST request


class Api(Protocol):
    """What commands ask of the cluster; every method raises `Failure` when it says no."""

    def get(self, path: str) -> Object:
        """Return an object; `NotFound` when there is none."""
        ...

    def items(self, path: str, **query: str) -> list[Object]:
        """Return a list, all pages of it."""
        ...

    def send(self, method: str, path: str, body: Mapping[str, Any]) -> Object:
        """Create with POST, change by a merge patch with PATCH."""
        ...

    def date(self) -> datetime | None:
        """Return the time that the API server's newest answer had."""
        ...


@dataclass(slots=True, kw_only=True)
class ProxiedApi:
    """Implements `Api` over the socket of a `kubectl proxy`.

    Attributes:
        path: Of the socket.
    """

    path: Path
    _date: str | None = field(default=None, init=False)

    def get(self, path: str) -> Object:
        """See `Api`."""
        return self._ask("GET", path)

    def items(self, path: str, **query: str) -> list[Object]:
        """See `Api`."""
        asked = {"limit": str(_PAGE), **query}
        found: list[Object] = []
        while True:
            page = self._ask("GET", f"{path}?{urllib.parse.urlencode(asked)}")
            found.extend(page.get("items") or ())
            after = (page.get("metadata") or {}).get("continue")
            if not after:
                return found
            asked["continue"] = after

    def send(self, method: str, path: str, body: Mapping[str, Any]) -> Object:
        """See `Api`."""
        return self._ask(method, path, body)

    def date(self) -> datetime | None:
        """See `Api`."""
        return parsedate_to_datetime(self._date) if self._date else None

    def _ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Object:
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        headers = {"Accept": "application/json", "Content-Type": kind}
        connection = _SocketConnection(self.path)
        try:
            data = None if body is None else json.dumps(body)
            connection.request(method, path, body=data, headers=headers)
            answer = connection.getresponse()
            self._date = answer.headers.get("Date")
            return _read(answer.status, answer.read(), path)
        except (OSError, http.client.HTTPException) as error:
            words = str(error) or type(error).__name__
            raise Failure(f"the way to the API server broke: {words}; try again") from error
        finally:
            connection.close()


class _SocketConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=_TIMEOUT)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(_TIMEOUT)
        self.sock.connect(str(self._path))


def _read(status: int, data: bytes, path: str) -> Object:
    """Return an answer's JSON, or raise what its status stands for."""
    try:
        said = json.loads(data)
    except ValueError:
        said = None
    if status < HTTPStatus.BAD_REQUEST and isinstance(said, dict):
        return said
    message = said.get("message") if isinstance(said, dict) else None
    words = str(message or data[:300].decode(errors="replace").strip() or f"status {status}")
    if status == HTTPStatus.NOT_FOUND:
        raise NotFound(words)
    if status == HTTPStatus.FORBIDDEN:
        raise Forbidden(f"not allowed: {words}. Ask whoever runs the cluster for that right")
    if status == HTTPStatus.UNAUTHORIZED:
        raise Failure("the API server does not know you (401): log in to the cluster again")
    if said is None:  # kubectl's own words: it reaches nobody
        raise Failure(f"the API server cannot be reached: {words}")
    raise Failure(f"the API server answers {status} to {path.partition('?')[0]}: {words}")
