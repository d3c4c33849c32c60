# SPDX-License-Identifier: Apache-2.0
"""Stands between an operator and the API server, counts each call, and does to it what a test says.

TLS on both sides, loopback only. It listens for one operator, so that the calls of several do not
mix; all run on the loop of one thread.
"""

import asyncio
import json
import signal
import ssl
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from support.apiserver import ApiServer
from support.proxy_calls import Call, Fault, call_of

_DROPPED = {"host", "connection", "content-length", "transfer-encoding", "accept-encoding"}
_LARGEST = 16 << 20  # bytes of a request

Rule = Callable[[Call], Fault | None]
Heard = Callable[[Call, dict[str, Any]], None]


def _no_fault(_: Call) -> Fault | None:
    return None


@dataclass(slots=True, kw_only=True)
class Proxy:
    """The way of one operator to the API server.

    Attributes:
        rule: Says what is done to a call.
        signal: Sends a signal to the operator.
        heard: Told of each object that a write has returned, before the operator is.
        calls: All so far.
        answers: By what a call was, the statuses that the API server has answered.
        is_down: Nobody gets through: connections are broken, old and new.
        is_mute: Nobody gets through, and nobody is told: packets get lost.
        holds: Whether calls that are to be held still are.
    """

    api: ApiServer
    rule: Rule = _no_fault
    signal: Callable[[int], None] = lambda _: None
    heard: Heard = lambda *_: None
    calls: list[Call] = field(default_factory=list)
    answers: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    last: float = field(default_factory=time.monotonic)
    port: int = 0
    is_down: bool = False
    is_mute: bool = False
    holds: bool = True
    _counts: "Counter[str]" = field(default_factory=Counter)
    _open: set[asyncio.Transport] = field(default_factory=set)
    _loop: asyncio.AbstractEventLoop = field(init=False)
    _session: aiohttp.ClientSession | None = None
    _tasks: set[asyncio.Future[Any]] = field(default_factory=set)

    @property
    def kubeconfig(self) -> Path:
        return self.api.folder / f"proxy-{self.port}.kubeconfig"

    def writes(self) -> list[Call]:
        return [call for call in self.calls if call.is_write and call.resource != "leases"]

    def is_quiet(self, seconds: float) -> bool:
        return time.monotonic() - self.last > seconds

    def count_anew(self) -> None:
        """The next call of each kind is the first one."""
        self._counts.clear()
        self.calls.clear()

    def send(self, path: str, change: object) -> None:
        """Merge a change into an object as cluster admin; for `heard`, which must not wait."""
        self._keep(asyncio.ensure_future(self._merge(path, change)))

    def _keep(self, task: "asyncio.Future[Any]") -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _merge(self, path: str, change: object) -> None:
        assert self._session is not None
        headers = {"Content-Type": "application/merge-patch+json", "User-Agent": "cais-tests"}
        while True:  # as a controller does: etcd may be away
            async with self._session.patch(
                self.api.url + path, data=json.dumps(change), headers=headers
            ) as answer:
                if answer.status < 500:
                    return
            await asyncio.sleep(0.2)

    def break_connections(self) -> None:
        """Break what is open now, watches too."""
        for transport in tuple(self._open):
            self._loop.call_soon_threadsafe(transport.abort)

    async def start(self, tls: ssl.SSLContext) -> web.ServerRunner:
        self._loop = asyncio.get_running_loop()
        connector = aiohttp.TCPConnector(ssl=self.api.tls(), limit=0)
        timeout = aiohttp.ClientTimeout(total=None)
        self._session = aiohttp.ClientSession(
            connector=connector, timeout=timeout, auto_decompress=False
        )
        server = web.Server(self._handle)
        runner = web.ServerRunner(server, handle_signals=False, shutdown_timeout=0.01)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
        await site.start()
        self.port = runner.addresses[0][1]
        self._write_kubeconfig()
        return runner

    async def stop(self, runner: web.ServerRunner) -> None:
        await _end(*self._tasks)
        await runner.cleanup()
        if self._session is not None:
            await self._session.close()

    def _write_kubeconfig(self) -> None:
        cluster = {
            "server": f"https://127.0.0.1:{self.port}",
            "certificate-authority": str(self.api.folder / "ca.crt"),
        }
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "proxy", "cluster": cluster}],
            "users": [{"name": "operator", "user": {}}],
            "contexts": [{"name": "it", "context": {"cluster": "proxy", "user": "operator"}}],
            "current-context": "it",
        }
        self.kubeconfig.write_text(json.dumps(config))

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read()
        call = self._counted(call_of(request.method, request.path, request.query, body))
        transport = request.transport
        if transport is None:
            return web.Response()
        self._open.add(transport)
        task = asyncio.current_task()
        assert task is not None
        self._keep(task)
        try:
            return await self._serve(request, call, body)
        finally:
            self._open.discard(transport)
            if call.verb != "watch":
                self.last = time.monotonic()

    def _counted(self, call: Call) -> Call:
        self._counts[call.what] += 1
        found = Call(
            verb=call.verb,
            resource=call.resource,
            namespace=call.namespace,
            name=call.name,
            sub=call.sub,
            number=self._counts[call.what],
        )
        self.calls.append(found)
        self.last = time.monotonic()
        return found

    async def _serve(self, request: web.BaseRequest, call: Call, body: bytes) -> web.StreamResponse:
        fault = self.rule(call) or Fault()
        if fault.kill_before:
            self.signal(signal.SIGKILL)
        while fault.hold and self.holds:  # noqa: ASYNC110 - said from another thread
            await asyncio.sleep(0.05)
        if self.is_mute or fault.hang or fault.kill_before:
            return await _never(request)
        if self.is_down or fault.cut_before:
            return _abort(request)
        if fault.status:
            headers = {"Content-Type": "application/json", **(fault.headers or {})}
            return web.Response(status=fault.status, body=fault.answer(), headers=headers)
        return await self._pass_on(request, call, body, fault)

    async def _pass_on(
        self, request: web.BaseRequest, call: Call, body: bytes, fault: Fault
    ) -> web.StreamResponse:
        assert self._session is not None
        headers = _kept(request.headers)
        url = self.api.url + request.path_qs
        try:
            async with self._session.request(
                request.method, url, headers=headers, data=body or None
            ) as answer:
                if call.verb == "watch":
                    return await self._stream(request, answer, fault.lasts)
                data = await answer.read()
        except aiohttp.ClientError:  # the API server itself is away
            return _abort(request)
        self.answers[call.what].append(answer.status)
        if call.is_write and answer.status < 300:
            self.heard(call, json.loads(data))
        if fault.kill_after:
            self.signal(signal.SIGKILL)
        if fault.pause_after:
            self.signal(signal.SIGSTOP)
        if self.is_mute or fault.kill_after:
            return await _never(request)
        if self.is_down or fault.cut_after:
            return _abort(request)
        return web.Response(status=answer.status, body=data, headers=_kept(answer.headers))

    async def _stream(
        self, request: web.BaseRequest, answer: aiohttp.ClientResponse, lasts: float | None
    ) -> web.StreamResponse:
        response = web.StreamResponse(status=answer.status, headers=_kept(answer.headers))
        try:
            await response.prepare(request)
            with suppress(TimeoutError):
                async with asyncio.timeout(lasts):
                    async for line in answer.content:
                        if self.is_mute:
                            return await _never(request)
                        await response.write(line)
            await response.write_eof()
        except OSError:  # the operator is gone
            return _abort(request)
        return response


def _kept(headers: Mapping[str, str]) -> dict[str, str]:
    return {key: text for key, text in headers.items() if key.lower() not in _DROPPED}


def _abort(request: web.BaseRequest) -> web.StreamResponse:
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


async def _never(request: web.BaseRequest) -> web.StreamResponse:
    """Until the other side goes, or the test ends."""
    while (transport := request.transport) is not None:
        if transport.is_closing():
            break
        await asyncio.sleep(0.2)
    return web.Response()


async def _end(*tasks: "asyncio.Future[Any]") -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


class Proxies:
    """A thread with a loop, and the proxies on it."""

    def __init__(self, api: ApiServer) -> None:
        self._api = api
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(api.folder / "apiserver.crt", api.folder / "apiserver.key")
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    @contextmanager
    def running(self) -> Iterator["Proxies"]:
        self._thread.start()
        try:
            yield self
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    @contextmanager
    def proxy(self) -> Iterator[Proxy]:
        """One more, until the block ends."""
        made = Proxy(api=self._api)
        runner = asyncio.run_coroutine_threadsafe(made.start(self._tls), self._loop).result()
        try:
            yield made
        finally:
            asyncio.run_coroutine_threadsafe(made.stop(runner), self._loop).result()
            made.kubeconfig.unlink()
