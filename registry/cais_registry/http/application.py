# SPDX-License-Identifier: Apache-2.0
"""The ASGI application: parse, authenticate, authorise, handle, answer, log."""

from __future__ import annotations

import logging
import time
from typing import Final

from cais_registry.http import (
    accesslog,
    admin,
    blobs,
    errors,
    listings,
    manifests,
    probes,
    router,
    token_endpoint,
    uploads,
    warnings,
)
from cais_registry.http import requests as http_requests
from cais_registry.http.audit import Asked
from cais_registry.http.deps import Deps
from cais_registry.http.errors import BadRequest
from cais_registry.http.gate import Caller, authorise, check_writable
from cais_registry.http.patience import Patience
from cais_registry.http.requests import MOST_PARAMETERS, Receive, Request, Scope, Send
from cais_registry.http.responses import Response, to_json
from cais_registry.http.sending import Stalled, common_headers, send_response
from cais_registry.http.stats import Done
from cais_registry.model.errors import RegistryError, Unauthorized

_CLOSE: Final = (b"connection", b"close")
_KINDS: Final[dict[type[router.Path], str]] = {
    router.Probe: "probe",
    router.TokenPath: "token",
    router.Ping: "ping",
    router.Catalog: "catalog",
    router.BlobPath: "blob",
    router.UploadsPath: "upload",
    router.UploadPath: "upload",
    router.ManifestPath: "manifest",
    router.TagsPath: "tags",
    router.ReferrersPath: "referrers",
    router.AdminPath: "admin",
}
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"})
_SMALL_BODY: Final = 64 * 1024
_logger = logging.getLogger("cais.http")


class Application:
    """Answers HTTP requests; server-neutral, `lifespan` messages are the business of `app`.

    Attributes:
        is_retiring: True once every answer should end its connection.
    """

    def __init__(self, deps: Deps) -> None:
        self._deps = deps
        self._patience = Patience(deps.slowest)
        self.is_retiring = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request (ASGI 3, `http` scope)."""
        began = time.perf_counter()
        stats, asked, sent = self._deps.stats, Asked(), 0
        request = http_requests.read(scope, receive, self._patience)
        stats.in_flight += 1
        status = 500
        try:
            response = await self._respond(request, asked)
            status = response.status
            if self._deps.audit is not None:
                self._deps.audit.write(request, asked, response)
            common = common_headers(request.path)
            if await self._is_last(request):
                common = (*common, _CLOSE)
            patience = self._patience
            sent = await send_response(scope, receive, send, response, common, patience=patience)
            if not request.body.is_finished:
                await request.body.linger()
        except Stalled as error:
            sent = error.sent
            self._deps.cut(http_requests.peer(scope))
        finally:
            stats.in_flight -= 1
            done = Done(
                kind="other" if asked.path is None else _KINDS[type(asked.path)],
                method=request.method if request.method in _METHODS else "other",
                status=status,
                seconds=time.perf_counter() - began,
                received=request.body.received,
                sent=sent,
            )
            stats.count(done)
            accesslog.write(request, done, user=asked.user, sink=self._deps.access_log)

    async def _respond(self, request: Request, asked: Asked) -> Response:
        try:
            return await self._handle(request, asked)
        except Unauthorized as error:
            gate = self._deps.gate
            if not asked.is_identified:
                asked.claimed = asked.claimed or gate.claimed(request)
            return errors.respond(error).with_headers(*gate.challenge(request, asked.path, error))
        except RegistryError as error:
            return errors.respond(error)
        except Exception:
            _logger.exception("a request failed by a fault of the registry")
            return errors.respond_unexpected()

    async def _handle(self, request: Request, asked: Asked) -> Response:
        if request.query is None:
            raise BadRequest(f"at most {MOST_PARAMETERS} query parameters are taken")
        if request.query and any("\0" in value for _, value in request.query):
            raise BadRequest("a query parameter holds a NUL character (%00)")
        path = router.parse(request.method, request.path)
        asked.path = path
        if isinstance(path, router.Probe):
            return await probes.handle(self._deps, path)
        if isinstance(path, router.TokenPath):
            return await token_endpoint.handle(self._deps, request, asked)
        caller = await self._deps.gate.identify(request)
        asked.user, asked.is_identified = caller.user, True
        authorise(caller, request.method, path)
        check_writable(self._deps.core.policy(), request.method, path)
        return await self._dispatch(request, caller, path)

    async def _dispatch(self, request: Request, caller: Caller, path: router.Path) -> Response:  # noqa: PLR0911 - one line a path
        deps = self._deps
        match path:
            case router.BlobPath():
                return await blobs.handle(deps, request, caller, path)
            case router.UploadsPath():
                return await uploads.begin(deps, request, caller, path)
            case router.UploadPath():
                return await uploads.go_on(deps, request, caller, path)
            case router.ManifestPath():
                return await manifests.handle(deps, request, caller, path)
            case router.TagsPath():
                return await listings.tags(deps, request, path)
            case router.ReferrersPath():
                return await listings.referrers(deps, request, path)
            case router.Catalog():
                return await listings.catalog(deps, request, caller)
            case router.AdminPath():
                return await admin.handle(deps, request, path)
            case _:
                return to_json({}, headers=warnings.headers(deps.notices()))

    async def _is_last(self, request: Request) -> bool:
        """Whether the connection ends with this answer: also where a body was not read."""
        body = request.body
        if not body.is_finished:
            is_small = body.declared is not None and body.declared <= _SMALL_BODY
            if is_small and "expect" not in request.headers:
                await body.linger()
        return self.is_retiring or not body.is_finished
