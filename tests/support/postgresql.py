# SPDX-License-Identifier: Apache-2.0
"""A real PostgreSQL in a temporary folder, run by a user who is not root.

It listens on a unix socket, and on loopback where a test asks for that.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from support.registry import wait_until

BIN = Path("/usr/lib/postgresql/15/bin")


@dataclass(kw_only=True)
class Cluster:
    """A cluster that tests start, stop and kill."""

    folder: Path
    port: int = 5432
    listens: str = ""
    process: subprocess.Popen[bytes] | None = None

    def dsn(self, database: str = "postgres") -> str:
        return f"host={self.folder} port={self.port} user=cais dbname={database}"

    def url(self, database: str) -> str:
        """How it is reached over TCP."""
        return f"postgresql://cais:any@{self.listens}:{self.port}/{database}"

    def start(self) -> None:
        command = [str(BIN / "postgres"), "-D", f"{self.folder}/data", "-k", str(self.folder)]
        where = [f"listen_addresses={self.listens}", f"port={self.port}"]
        options = [*where, "max_connections=60", "shared_buffers=16MB"]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [*command, *(word for option in options for word in ("-c", option))],
                user=_user(), group=_group(), extra_groups=_groups(),
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
            )  # fmt: skip
        wait_until(self._answers, what="PostgreSQL answers")

    def stop(self) -> None:
        """End it at once, connections and all, as an orderly stop."""
        assert self.process is not None
        self.process.send_signal(signal.SIGINT)
        self.process.wait(60)

    def create(self, name: str) -> str:
        """Make an empty database; returns how to reach it."""
        with psycopg.connect(self.dsn(), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return self.dsn(name)

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, (self.folder / "log").read_text()
        try:
            psycopg.connect(self.dsn()).close()
        except psycopg.OperationalError:
            return False
        return True


def _user() -> int | None:
    return pwd.getpwnam("postgres").pw_uid if os.geteuid() == 0 else None


def _group() -> int | None:
    return pwd.getpwnam("postgres").pw_gid if os.geteuid() == 0 else None


def _groups() -> list[int] | None:
    return [] if os.geteuid() == 0 else None


@contextmanager
def cluster(*, port: int = 0) -> Iterator[Cluster]:
    """Make a cluster and run it; short paths, because socket names are.

    Args:
        port: Of loopback; 0: only the socket.
    """
    folder = Path(tempfile.mkdtemp(prefix="cais-pg-"))
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres", "postgres")
    subprocess.run(
        [BIN / "initdb", "-D", folder / "data", "-U", "cais", "-A", "trust", "--no-sync",
         "-E", "UTF8", "--locale=C.UTF-8"],
        user=_user(), group=_group(), extra_groups=_groups(), check=True, capture_output=True,
        cwd=folder,
    )  # fmt: skip
    made = (
        Cluster(folder=folder, port=port, listens="127.0.0.1") if port else Cluster(folder=folder)
    )
    try:
        made.start()
        yield made
    finally:
        if made.process is not None and made.process.poll() is None:
            made.process.send_signal(signal.SIGQUIT)  # nobody needs its data any more
            made.process.wait(60)
        shutil.rmtree(folder)
