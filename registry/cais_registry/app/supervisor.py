# SPDX-License-Identifier: Apache-2.0
"""The parent process: holds socket, lock and certificate, and keeps one worker alive.

It imports as little as it can: the worker imports what serves, after the fork.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from granian._granian import SocketHolder
from granian.constants import HTTPModes, Interfaces, Loops
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server.mp import MPServer

from cais_registry.app import certificates, logs
from cais_registry.app.draining import MOST, Draining
from cais_registry.app.files import Files
from cais_registry.app.listening import BACKLOG, connection_limit
from cais_registry.app.relay import Relay
from cais_registry.stores.commits import Hold

_END_SECONDS: Final = 2
"""After the time for draining: a worker that does not end by itself is killed."""

_OVERLAP_SECONDS: Final = 0.5
_POLL_SECONDS: Final = 1.0
_LOOK_SECONDS: Final = 0.02
_LAST_SECONDS: Final = 300.0
"""A certificate this near to its end is replaced, whoever still drains."""

_BUFFER_BYTES: Final = 256 * 1024
"""Of a connection; bounds its headers, and the pieces that bodies come in."""
_logger = logging.getLogger("cais")


class Supervisor(MPServer):
    """granian's supervisor, with our own socket, and certificates that change.

    One listening socket is made once and shared: while workers take turns, and also while there is
    none, connections wait in its queue and none is refused.
    """

    def __init__(self, files: Files, listener: socket.socket) -> None:
        """Prepare.

        Args:
            files: What to serve with.
            listener: A bound and listening socket.
        """
        settings = files.loaded.settings
        super().__init__(
            "cais",
            interface=Interfaces.ASGI,
            http=HTTPModes.http1,
            loop=Loops.uvloop,
            websockets=False,
            backlog=BACKLOG,
            backpressure=connection_limit(),
            http1_settings=HTTP1Settings(
                header_read_timeout=int(settings.idle.total_seconds() * 1000),  # also between two
                max_buffer_size=_BUFFER_BYTES,
            ),
            log_level=LogLevels.warning,
            log_dictconfig=logs.configuration(settings.log.format),
            respawn_failed_workers=True,
            respawn_interval=_OVERLAP_SECONDS,
            workers_kill_timeout=_END_SECONDS,
            runtime_blocking_threads=8,
        )
        self._untyped: Any = self  # granian's own annotations are incomplete
        self._relay = Relay(self._untyped.main_loop_interrupt)
        self._look, self._taken_over = threading.Event(), threading.Event()
        self._hangups = Relay(self._look)
        self._files = files
        self._listener = listener
        self._draining = Draining()
        self._certificate: tuple[int, int] | None = None
        self._use_certificate()
        self.on_reload(self._use_certificate)
        self.on_shutdown(self._draining.stop)

    def run(self) -> None:
        """Serve until SIGTERM or SIGINT."""
        self._relay.start()
        self._hangups.start()
        threading.Thread(target=self._watch, name="watch", daemon=True).start()
        self.serve(target_loader=self._loader(), wrap_loader=False)

    def signal_handler_interrupt(self, *_: object) -> None:
        """Stop; granian's own handler may wait for a lock that this very thread holds."""
        self._untyped.interrupt_signal = True
        self._relay.ask(is_final=True)

    def signal_handler_reload(self, *_: object) -> None:
        """SIGHUP: look at all files now; see `signal_handler_interrupt`."""
        self._hangups.ask()

    def _loader(self) -> Callable[[], Any]:
        files, listener, parent = self._files, self._listener, os.getpid()
        hold = Hold(name=os.urandom(8).hex())  # the caller has the lock from here on

        def load() -> object:
            os.setpgid(0, 0)  # ctrl-c reaches the parent, which stops the worker in order
            for number in (signal.SIGUSR1, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)  # until there is something to retire
            from cais_registry.app import worker  # noqa: PLC0415 - not in the parent's memory

            worker.die_with(parent)
            return worker.Worker(files, listener, hold)

        return load

    def _watch(self) -> None:
        """A new certificate needs a new worker; everything else is taken by the worker itself."""
        served = waiting = self._files.loaded.pair
        while True:
            if self._look.wait(_POLL_SECONDS):
                self._look.clear()
                self._hang_up()
            self._files.poll()
            wanted = self._files.loaded.pair
            if wanted == served:
                continue
            if self._draining.has_room() or _ends_soon(served):
                self._take_over()
                served = waiting = wanted
            elif waiting != wanted:
                waiting = wanted
                _logger.warning(
                    "the certificate has changed: it is served as soon as one of %d workers"
                    " that end older transfers has done so",
                    MOST,
                )

    def _take_over(self) -> None:
        """Have a new worker started, and wait until the old one drains."""
        _logger.info("the certificate has changed: a new worker will serve it")
        self._taken_over.clear()
        self._untyped.reload_signal = True
        self._relay.ask()
        self._taken_over.wait()

    def _hang_up(self) -> None:
        """Workers look as well."""
        _logger.info("SIGHUP: all files are looked at")
        for worker in (*self.wrks, *self._draining.alive()):
            if worker.is_alive():
                os.kill(worker.inner.pid, signal.SIGHUP)

    def _use_certificate(self) -> None:
        pair = self._files.loaded.pair
        if pair is None:
            return
        old, self._certificate = self._certificate, certificates.as_files(pair)
        names = [certificates.path(fd) for fd in self._certificate]
        self._untyped.ssl_ctx = (True, names[0], names[1], None, "tls1.2", None, [], False)
        for fd in old or ():
            os.close(fd)

    def _init_shared_socket(self) -> None:
        holder: Any = SocketHolder
        fd = self._listener.fileno()
        vars(self).update(_sso=self._listener, _shd=holder(fd, False, BACKLOG), _sfd=fd)

    def _respawn_workers(
        self,
        workers: list[int],
        spawn_target: Any,  # noqa: ANN401 - granian's types
        target_loader: Any,  # noqa: ANN401 - granian's types
        delay: float = 0,
    ) -> None:
        """Start a new worker; let the old one end its requests without waiting for it here."""
        for index in workers:
            old: Any = self.wrks.pop(index)
            self.respawned_wrks[index] = time.monotonic()
            new: Any = self._spawn_worker(index, spawn_target, target_loader)
            new.start()
            self.wrks.insert(index, new)
            if old.is_alive():
                threading.Event().wait(delay)
                self._draining.add(old)
        self._taken_over.set()

    def _stop_workers(self) -> None:
        """Let running requests finish; the time for it ends early when told to stop again."""
        workers: list[Any] = [*self.wrks, *self._draining.alive()]
        again: list[int] = []  # an event's lock would be taken by handler and loop alike
        pause = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda number, _: again.append(number))
        for worker in workers:
            worker.interrupt_by_parent = True  # its end is no failure
            if worker.is_alive():
                os.kill(worker.inner.pid, signal.SIGUSR2)
        end = time.monotonic() + self._files.loaded.settings.drain.total_seconds()
        while any(w.is_alive() for w in workers) and time.monotonic() < end and not again:
            pause.wait(_LOOK_SECONDS)
        super()._stop_workers()  # type: ignore[no-untyped-call]  # granian's annotations


def _ends_soon(pair: certificates.Pair | None) -> bool:
    validity = None if pair is None else certificates.validity(pair)
    return validity is not None and validity.end - time.time() < _LAST_SECONDS


def run(files: Files, listener: socket.socket) -> None:
    """Serve until told to stop; the caller holds the lock of the data."""
    multiprocessing.set_start_method("fork")  # workers inherit lock, socket and certificate
    Supervisor(files, listener).run()
