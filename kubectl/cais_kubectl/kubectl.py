# SPDX-License-Identifier: Apache-2.0
"""The person's own kubectl: who they are to the cluster, and the ways into it."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from cais_kubectl.errors import Failure

_DEADLINE: Final = 30.0  # seconds until kubectl listens; a login in a browser may be part of it
_PAUSE: Final = 0.01  # seconds between two looks
_LOG_LINE: Final = re.compile(r"[EWIF]\d{4} ")  # of kubectl, about requests whose answer we have
_END: Final = 3.0  # seconds from being asked to stop until it has to


@dataclass(frozen=True, slots=True, kw_only=True)
class Kubectl:
    """How kubectl is called.

    Attributes:
        flags: That choose cluster and user, such as `--context=x`.
    """

    flags: tuple[str, ...] = ()

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a kubectl whose output is read.

        Raises:
            Failure: When there is none.
        """
        program = shutil.which("kubectl")
        if program is None:
            raise Failure("there is no kubectl on the PATH; install it, everything goes through it")
        return subprocess.Popen(
            [program, *arguments, *self.flags],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def read(self, *arguments: str) -> str | None:
        """Return what a kubectl prints; None when it fails."""
        process = self.start(*arguments)
        printed, _ = process.communicate()
        return printed if process.returncode == 0 else None

    @contextmanager
    def proxy(self) -> Iterator[Path]:
        """Open a way to the API server as the person; yields a socket that only they can reach.

        Raises:
            Failure: With kubectl's own words, when there is none.
        """
        with tempfile.TemporaryDirectory(prefix="kubectl-cais-") as folder:
            path = Path(folder) / "api"
            process = self.start("proxy", f"--unix-socket={path}", "--append-server-path")
            with _ended(process):
                talk = _Talk(process)
                talk.until(lambda: _is_open(path), "kubectl does not reach the cluster")
                yield path

    @contextmanager
    def forward(self, namespace: str, service: str, port: int, local: int = 0) -> Iterator[int]:
        """Open a way to a Service; yields the port on loopback.

        Args:
            namespace: Of the Service.
            service: Its name.
            port: Of the Service.
            local: On loopback; 0 is any.

        Raises:
            Failure: With kubectl's own words, when there is none.
        """
        target, ports = f"service/{service}", f"{local or ''}:{port}"
        process = self.start(
            "port-forward", target, ports, f"--namespace={namespace}", "--address=127.0.0.1"
        )
        what = f"kubectl cannot forward a port to Service {service} in namespace {namespace}"
        with _ended(process):
            talk = _Talk(process)
            talk.until(lambda: talk.port is not None, what)
            yield talk.port or local


def _is_open(path: Path) -> bool:
    """Whether somebody takes connections on a socket; its file is there a moment earlier."""
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True


class _Talk:
    """What a running kubectl says: kept until it is ready, afterwards passed on.

    A plug-in that logs people in speaks through it, at the first request.
    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._errors: list[str] = []
        self._is_ready = False
        self.port: int | None = None
        self._readers = (
            threading.Thread(target=self._lines, args=(process.stdout,), daemon=True),
            threading.Thread(target=self._complaints, args=(process.stderr,), daemon=True),
        )
        for reader in self._readers:
            reader.start()

    def _lines(self, stream: IO[str]) -> None:
        for line in stream:
            head, arrow, _ = line.partition(" -> ")
            if arrow and self.port is None:
                self.port = int(head.rpartition(":")[2])

    def _complaints(self, stream: IO[str]) -> None:
        for line in stream:
            if not self._is_ready:
                self._errors.append(line.strip())
            elif not _LOG_LINE.match(line):
                sys.stderr.write(line)

    def until(self, ready: Callable[[], bool], what: str) -> None:
        end = time.monotonic() + _DEADLINE
        while not ready():
            if self._process.poll() is not None:
                self.close()
                raise Failure(f"{what}: {'; '.join(self._errors) or 'it ended without a word'}")
            if time.monotonic() > end:
                raise Failure(f"{what}: no answer within {_DEADLINE:.0f} s")
            time.sleep(_PAUSE)
        self._is_ready = True

    def close(self) -> None:
        for reader in self._readers:
            reader.join(_END)


@contextmanager
def _ended(process: subprocess.Popen[str]) -> Iterator[None]:
    """Stop a kubectl whatever happens."""
    try:
        yield
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(_END)
        process.kill()
        process.wait()


def namespace_of(kubectl: Kubectl) -> str:
    """Return the namespace of the context; `default` where it names none."""
    found = kubectl.read("config", "view", "--minify", "--output=jsonpath={..namespace}")
    return (found or "").strip() or "default"


def flags_of(**chosen: str | None) -> tuple[str, ...]:
    """Return kubectl's flags for what was chosen; `as_user` stands for `--as`."""
    names = {"as_user": "as"}
    pairs = ((names.get(name, name), value) for name, value in chosen.items())
    return tuple(f"--{name}={value}" for name, value in pairs if value)


def program_of(names: Sequence[str]) -> str | None:
    """Return the first of some programs that is on the PATH."""
    return next((name for name in names if shutil.which(name)), None)
