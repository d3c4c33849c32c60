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

from cais_registry.app import allocation, certificates, logs
from cais_registry.app.draining import Draining, tell
from cais_registry.app.files import Files
from cais_registry.app.listening import BACKLOG, connection_limit
from cais_registry.app.relay import Relay
from cais_registry.app.succession import AGAIN_SECONDS, READY_SECONDS, Readiness, Succession
from cais_registry.config.settings import Settings
from cais_registry.stores.commits import Hold

_END_SECONDS: Final = 2
"""After the time for draining: a worker that does not end by itself is killed."""

_POLL_SECONDS: Final = 1.0
_LOOK_SECONDS: Final = 0.02
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
            http1_settings=_http1(settings),
            log_level=LogLevels.warning,
            log_dictconfig=logs.configuration(settings.log.format),
            respawn_failed_workers=True,
            workers_kill_timeout=_END_SECONDS,
            runtime_blocking_threads=8,
        )
        self._untyped: Any = self  # granian's own annotations are incomplete
        self._relay = Relay(self._untyped.main_loop_interrupt)
        self._look = threading.Event()
        self._hangups = Relay(self._look)
        self._files = files
        self._listener = listener
        self._draining = Draining()
        self._readiness: Readiness | None = None
        self._certificate: tuple[int, int] | None = None
        self._pair = files.loaded.pair
        self._succession = Succession(
            self._pair, has_room=self._draining.has_room, begin=self._begin
        )
        self._use(self._pair)
        self.on_reload(lambda: self._use(self._files.loaded.pair))
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
            readiness = self._readiness
            ready = None if readiness is None else readiness.tell
            return worker.Worker(files, listener, hold, ready)

        return load

    def _watch(self) -> None:
        """A new certificate needs a new worker; everything else is taken by the worker itself."""
        while True:
            if self._look.wait(_POLL_SECONDS):
                self._look.clear()
                self._hang_up()
            self._files.poll()
            self._succession.look(self._files.loaded.pair)

    def _begin(self) -> None:
        self._untyped.reload_signal = True
        self._relay.ask()

    def _hang_up(self) -> None:
        """Workers look as well."""
        _logger.info("SIGHUP: all files are looked at")
        self._succession.hurry()
        for worker in (*self.wrks, *self._draining.alive()):
            tell(worker, signal.SIGHUP)

    def _use(self, pair: certificates.Pair | None) -> None:
        """Workers that are started from now on serve this certificate."""
        self._pair = pair
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
        delay: float = 0,  # noqa: ARG002 - granian waits for a time, and we for the new worker
    ) -> None:
        """Start a new worker; once it serves, let the old one end its requests beside it."""
        for index in workers:
            old: Any = self.wrks[index]
            new: Any = self._spawn_worker(index, spawn_target, target_loader)
            if old.is_alive():
                self._take_over(index, new)
            else:
                self._replace(index, new)

    def _replace(self, index: int, new: Any) -> None:  # noqa: ANN401 - granian's types
        try:
            new.start()
        except (OSError, RuntimeError) as error:  # no process, or no thread
            _logger.error("no worker can be started: %s", error)  # noqa: TRY400 - no trace of ours
            self.respawned_wrks[index] = time.monotonic()
            self.interrupt_children.append(index)  # so soon again, that it ends the server
            self.main_loop_interrupt.set()
            return
        self._seat(index, new)

    def _take_over(self, index: int, new: Any) -> None:  # noqa: ANN401 - granian's types
        new.interrupt_by_parent = True  # until it serves, its end is no failure of the server
        problem = self._start(new)
        if problem is None:
            old: Any = self.wrks[index]
            self._seat(index, new)
            new.interrupt_by_parent = False
            self._draining.add(old)
            # the end of the old one may have been told of meanwhile
            self.interrupt_children[:] = [one for one in self.interrupt_children if one != index]
            return
        if new.inner.pid is not None:
            new.kill()
        served = self._succession.served
        self._use(served)
        self._succession.end(served)
        _logger.error(
            "the certificate has changed, but a new worker does not serve it: %s;"
            " the one before goes on, and it is tried again in %d s",
            problem,
            AGAIN_SECONDS,
        )

    def _start(self, new: Any) -> str | None:  # noqa: ANN401 - granian's types
        """Start a worker, and wait until it serves; return why it does not."""
        self._readiness = readiness = Readiness()
        try:
            new.start()
            return readiness.problem(READY_SECONDS, is_stopped=lambda: self.interrupt_signal)
        except (OSError, RuntimeError) as error:
            return f"it cannot be started: {error}"
        finally:
            self._readiness = None
            readiness.close()

    def _seat(self, index: int, new: Any) -> None:  # noqa: ANN401 - granian's types
        self.wrks[index] = new
        self.respawned_wrks[index] = time.monotonic()
        self._succession.end(self._pair)

    def _stop_workers(self) -> None:
        """Let running requests finish; the time for it ends early when told to stop again."""
        workers: list[Any] = [*self.wrks, *self._draining.alive()]
        again: list[int] = []  # an event's lock would be taken by handler and loop alike
        pause = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda number, _: again.append(number))
        for worker in workers:
            worker.interrupt_by_parent = True  # its end is no failure
            tell(worker, signal.SIGUSR2)
        end = time.monotonic() + self._files.loaded.settings.drain.total_seconds()
        while any(w.is_alive() for w in workers) and time.monotonic() < end and not again:
            pause.wait(_LOOK_SECONDS)
        super()._stop_workers()  # type: ignore[no-untyped-call]  # granian's annotations


def _http1(settings: Settings) -> HTTP1Settings:
    return HTTP1Settings(
        header_read_timeout=int(settings.idle.total_seconds() * 1000),  # also between two requests
        max_buffer_size=_BUFFER_BYTES,
    )


def run(files: Files, listener: socket.socket) -> None:
    """Serve until told to stop; the caller holds the lock of the data."""
    multiprocessing.set_start_method("fork")  # workers inherit lock, socket and certificate
    allocation.keep_pieces()  # for the workers, too
    Supervisor(files, listener).run()
