# SPDX-License-Identifier: Apache-2.0
"""`/healthz`, `/readyz` and `/metrics` on one small port."""

import socket
from collections.abc import Awaitable, Callable
from typing import Protocol

from aiohttp import web

_PLAIN = "text/plain; version=0.0.4; charset=utf-8"
_SICK = 503


class Vitals(Protocol):
    """What health is judged by."""

    def ill(self) -> str | None:
        """Return why the process should be restarted; None when it should not."""
        ...

    def unready(self) -> str | None:
        """Return why it does not do its work at the moment; None when it does."""
        ...


async def serve(listen: str, vitals: Vitals, metrics: Callable[[], bytes]) -> web.AppRunner:
    """Start to answer; the caller cleans the runner up.

    Args:
        listen: `host:port`; `[::]` takes IPv4 as well.
        vitals: Judges.
        metrics: Returns the text of `/metrics`.

    Raises:
        OSError: When the address cannot be used.
    """
    app = web.Application()
    app.router.add_get("/healthz", _judged_by(vitals.ill))
    app.router.add_get("/readyz", _judged_by(vitals.unready))

    async def numbers(request: web.Request) -> web.Response:
        del request
        return web.Response(body=metrics(), headers={"Content-Type": _PLAIN})

    app.router.add_get("/metrics", numbers)
    runner = web.AppRunner(app, handle_signals=False, access_log=None)
    await runner.setup()
    await web.SockSite(runner, _socket(listen)).start()
    return runner


def _socket(listen: str) -> socket.socket:
    host, _, port = listen.rpartition(":")
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, int(port)), family=family, dualstack_ipv6=host == "::")


def _judged_by(
    judge: Callable[[], str | None],
) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(request: web.Request) -> web.Response:
        del request
        reason = judge()
        if reason is None:
            return web.Response(text="ok\n")
        return web.Response(text=f"{reason}\n", status=_SICK)

    return answer
