# SPDX-License-Identifier: Apache-2.0
"""The door of a server that is told to stop: who is in may finish, who comes now may not enter."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

from cais_registry.http import errors
from cais_registry.http.requests import Receive, Scope, Send
from cais_registry.http.sending import common_headers, send_response

Application: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

_ALWAYS: Final = frozenset(("/healthz", "/metrics"))


class Door:
    """An ASGI application around another one."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self._running = 0
        self._left: Callable[[], None] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or say when to try again (RFC 9110, 15.6.4)."""
        if self._left is not None and scope["path"] not in _ALWAYS:
            error = errors.ShuttingDown("the registry is being stopped; try again in a moment")
            answer = errors.respond(error).with_headers(("Connection", "close"))
            await send_response(scope, receive, send, answer, common_headers(scope["path"]))
            return
        self._running += 1
        try:
            await self._application(scope, receive, send)
        finally:
            self._running -= 1
            self._look()

    def close(self, left: Callable[[], None]) -> None:
        """Let nobody in any more.

        Args:
            left: Called as soon as no request runs, which may be now.
        """
        self._left = left
        self._look()

    def _look(self) -> None:
        if self._left is not None and self._running == 0:
            self._left()
