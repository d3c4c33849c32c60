# SPDX-License-Identifier: Apache-2.0
"""etcd with one member on loopback, which can be killed and started again with what it has stored.

What a killed process has written stays in the kernel's cache, so nothing needs to be synced here.
"""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(slots=True, kw_only=True)
class Etcd:
    """One member.

    Attributes:
        program: Its path.
        folder: Of its data and its log.
        url: For clients.
        peer: URL for other members; there are none.
    """

    program: str
    folder: Path
    url: str
    peer: str
    _process: subprocess.Popen[bytes] | None = None

    @contextmanager
    def running(self) -> Iterator["Etcd"]:
        self.start()
        try:
            yield self
        finally:
            self.kill()

    def start(self) -> None:
        with (self.folder / "etcd.log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command(), stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )

    def kill(self) -> None:
        """By SIGKILL; no matter if it is dead already."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    @contextmanager
    def away(self) -> Iterator[None]:
        """Killed at the beginning of the block, started again at its end."""
        self.kill()
        try:
            yield
        finally:
            self.start()

    def _command(self) -> list[str]:
        return [
            self.program,
            f"--data-dir={self.folder / 'etcd'}",
            f"--listen-client-urls={self.url}",
            f"--advertise-client-urls={self.url}",
            f"--listen-peer-urls={self.peer}",
            f"--initial-advertise-peer-urls={self.peer}",
            f"--initial-cluster=default={self.peer}",
            "--unsafe-no-fsync=true",
            "--log-level=error",
        ]
