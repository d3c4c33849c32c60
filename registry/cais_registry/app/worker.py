# SPDX-License-Identifier: Apache-2.0
"""The process that serves: builds the services and the application over them."""

from __future__ import annotations

import asyncio
import ctypes
import logging
import os
import signal
import socket
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, Final

from cais_registry import __version__
from cais_registry.app import allocation, certificates, logs, notices, objects
from cais_registry.app.cutting import Scissors
from cais_registry.app.files import Files, Loaded
from cais_registry.app.issuers import Issuers
from cais_registry.app.lines import Lines
from cais_registry.app.listening import stop_accepting
from cais_registry.config.retention import Retention
from cais_registry.config.settings import Settings
from cais_registry.http import accesslog, audit
from cais_registry.http.application import Application
from cais_registry.http.audit import AuditLog
from cais_registry.http.credentials import Verifier
from cais_registry.http.deps import Deps, Facts, LoadedFiles
from cais_registry.http.draining import Door
from cais_registry.http.gate import Gate
from cais_registry.http.patience import Slowest
from cais_registry.http.requests import Receive, Scope, Send
from cais_registry.http.sinks import Sink, to_logging
from cais_registry.http.stats import Stats
from cais_registry.model.policy import Policy, TagRule
from cais_registry.services.access import OPEN, Permissions, compile_rules
from cais_registry.services.core import Core, Limits, open_core
from cais_registry.stores.commits import Hold
from cais_registry.stores.layout import UnusableData

POLL_SECONDS: Final = 1.0
_SERVES_SECONDS: Final = 0.05
"""The HTTP server stops the loop when the data are open, and runs it again when it serves."""

_PR_SET_PDEATHSIG: Final = 1
_logger = logging.getLogger("cais")


def die_with(parent: int) -> None:
    """Make the kernel kill this process when its parent ends, however that ends (prctl(2)).

    A worker that outlived its parent would go on serving without anyone to stop it.

    Args:
        parent: Process id of the parent; if it has ended already, this process ends now.
    """
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


class Worker:
    """The ASGI application with its life: opens the data at start, closes it at the end."""

    def __init__(
        self,
        files: Files,
        listener: socket.socket,
        hold: Hold,
        ready: Callable[[], None] | None = None,
    ) -> None:
        """Prepare.

        Args:
            files: As the parent has loaded them.
            listener: The socket that connections come from.
            hold: The parent's hold of the data, which its workers share.
            ready: Called when it serves.
        """
        self._files = files
        self._hold, self._ready = hold, ready
        self._listener = listener
        self._verifier = Verifier(files.loaded.users)
        auth = files.loaded.settings.auth
        self._gate = Gate(
            permissions(files.loaded),
            verifier=None if auth is None else self._verifier,
            realm=None if auth is None else auth.realm,
        )
        self._issuers = Issuers(self._gate)
        self._issuers.take(files.loaded)
        self._policy = policy(files.loaded)
        self._lines = Lines(logs.write_out)
        self._look = asyncio.Event()
        self._application: Application | None = None
        self._door: Door | None = None
        self._certificate = files.certificate_hash()
        pair = files.loaded.pair
        self._validity = None if pair is None else certificates.validity(pair)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or the whole life (ASGI 3, `http` and `lifespan` scopes)."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http" and self._door is not None:
            await self._door(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            core = await self._open()
        except UnusableData as error:
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        except Exception as error:  # whatever it is, do not serve without data
            _logger.exception("the data could not be opened")
            await send({"type": "lifespan.startup.failed", "message": repr(error)})
            return
        tasks = [
            _start(core.housekeeping.serve(), name="housekeeping"),
            _start(core.pressure.serve(), name="pressure"),
            _start(self._watch(), name="watch"),
            _start(allocation.give_back(), name="memory"),
        ]
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGUSR1, self._retire)
        loop.add_signal_handler(signal.SIGUSR2, self._drain)
        loop.add_signal_handler(signal.SIGHUP, self._look.set)
        await send({"type": "lifespan.startup.complete"})
        if self._ready is not None:
            loop.call_later(_SERVES_SECONDS, self._ready)
        await receive()
        for task in tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        await core.close()
        self._lines.flush()
        await send({"type": "lifespan.shutdown.complete"})

    async def _open(self) -> Core:
        settings = self._files.loaded.settings
        configured = settings.limits
        limits = Limits(
            manifest_bytes=configured.manifest_bytes,
            manifest_references=configured.manifest_references,
            tags_per_push=configured.tags_per_push,
            sparse_manifests=configured.sparse_manifests,
            open_uploads=configured.open_uploads,
            open_uploads_per_user=configured.open_uploads_per_user,
        )
        core = await open_core(
            settings.data,
            database_url=self._files.database_url(),
            policy=lambda: self._policy,
            limits=limits,
            store=objects.opener(settings.storage),
            hold=self._hold,
        )
        self._application = Application(
            Deps(
                core=core,
                gate=self._gate,
                stats=Stats(),
                access_log=self._sink(accesslog.LOGGER),
                audit=self._audit(),
                facts=self._facts(),
                loaded=self._loaded,
                manifest_bytes=limits.manifest_bytes,
                tags_per_push=limits.tags_per_push,
                notices=self._notices(core),
                slowest=slowest(settings),
                cut=Scissors().cut,
            )
        )
        self._door = Door(self._application)
        return core

    def _sink(self, logger: str) -> Sink:
        is_text = logs.is_text(self._files.loaded.settings.log.format)
        return to_logging(logger) if is_text else self._lines.sink(logger)

    def _audit(self) -> AuditLog | None:
        log = self._files.loaded.settings.log
        return AuditLog(self._sink(audit.LOGGER), pulls=log.audit_pulls) if log.audit else None

    def _notices(self, core: Core) -> notices.Notices:
        return notices.Notices(
            space=core.store.space,
            validity=self._validity,
            error=self._error,
        )

    def _facts(self) -> Facts:
        loaded = self._files.loaded
        return Facts(
            version=__version__,
            database="sqlite" if loaded.settings.database is None else "postgresql",
            storage="files" if loaded.settings.storage is None else "s3",
            certificate_expiry=None if self._validity is None else self._validity.end,
        )

    def _retire(self) -> None:
        """Another worker has taken over: answer who is here, and let nobody in any more."""
        stop_accepting(self._listener)
        if self._application is not None:
            self._application.is_retiring = True

    def _drain(self) -> None:
        """The server is being stopped: finish what runs, then end this process."""
        if self._door is not None:
            self._door.close(lambda: os.kill(os.getpid(), signal.SIGTERM))

    def _loaded(self) -> LoadedFiles:
        """What this process serves: a new certificate comes with a new process."""
        files = {**self._files.loaded.hashes, **self._certificate}
        return LoadedFiles(
            files={path: files[path] for path in files.keys() - self._issuers.problems.keys()},
            error=self._error(),
            retention_problems=self._files.loaded.settings.retention.problems,
        )

    def _error(self) -> str | None:
        """Why something that a file says is not taken, None when all is."""
        words = (self._files.error, *self._issuers.problems.values())
        return "; ".join(word for word in words if word) or None

    async def _watch(self) -> None:
        error = None
        _warn(self._files.loaded.settings.retention)
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._look.wait(), POLL_SECONDS)
            self._look.clear()
            before = self._files.loaded
            self._files.poll()
            now = self._files.loaded
            if (now.users, now.settings) != (before.users, before.settings):
                self._verifier.replace(self._files.loaded.users)
                self._gate.permissions = permissions(self._files.loaded)
                self._policy = policy(self._files.loaded)
                _logger.info("configuration, users or rules were loaded anew")
            if self._issuers.take(now):
                _logger.info("issuers of tokens, or keys, were loaded anew")
            if now.settings.retention != before.settings.retention:
                _warn(now.settings.retention)
            if self._error() != error:
                error = self._error()
                _logger.warning("a changed file is not taken: %s", error or "solved")


def permissions(loaded: Loaded) -> Permissions:
    """The rules of the newest good configuration."""
    settings = loaded.settings
    return OPEN if settings.auth is None else compile_rules(settings.access)


def policy(loaded: Loaded) -> Policy:
    """What the newest good configuration says about times, tags and space."""
    settings = loaded.settings
    return Policy(
        push_lease=settings.push_lease,
        undelete_window=settings.undelete_window,
        upload_ttl=settings.upload,
        immutable_tags=tuple(
            TagRule(repositories=rule.repositories, tags=rule.tags)
            for rule in settings.immutable_tags
        ),
        read_only=settings.read_only,
        quota=settings.quota,
        retention=settings.retention,
    )


def _warn(retention: Retention) -> None:
    for problem in retention.problems:
        _logger.warning("a rule of retention is not taken: %s", problem)


def slowest(settings: Settings) -> Slowest:
    """How slow clients may be."""
    seconds = settings.stalled.total_seconds()
    return Slowest(
        seconds=seconds, count=max(1, round(seconds * settings.limits.slowest_bytes_per_second))
    )


def _start(work: Coroutine[Any, Any, None], *, name: str) -> asyncio.Task[None]:
    """Run something beside the requests; if it ends by itself, the log says so."""
    task = asyncio.create_task(work, name=name)
    task.add_done_callback(_report)
    return task


def _report(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        _logger.error("%s stopped", task.get_name(), exc_info=task.exception())
