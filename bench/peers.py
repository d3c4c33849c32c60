# SPDX-License-Identifier: Apache-2.0
"""Starts ours and its peers, each in its own folder, each logging every request to a file."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from support.registry import hashed, running, wait_until

LOGIN = "bench:x"
OURS = "cais"
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "cais" / "bin"
_RULES = [{"users": ["bench"], "repositories": ["**"], "actions": ["pull", "push", "delete", "gc"]}]


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A running server: where it is reached, who pushes to it, which process is its first."""

    name: str
    url: str
    pid: int
    login: str = ""
    files: Path | None = None  # of a plain file server

    def pids(self) -> list[int]:
        """The process and everything below it."""
        found = [self.pid]
        for pid in found:
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            found += map(int, children)
        return found


@contextmanager
def ours(
    folder: Path,
    pair: tuple[Path, Path] | None,
    more: Mapping[str, Any] | None = None,
    *,
    cost: int = 4,
) -> Iterator[Peer]:
    """Ours: users and rules, so that each request is authorised; pulls need no login."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "users").write_text(f"bench:{hashed('x', cost)}\n")
    config = {
        "auth": {"htpasswdFile": str(folder / "users")},
        "access": {"anonymous": ["pull"], "rules": _RULES},
        **(more or {}),
    }
    flags = () if pair is None else ("--tls-cert", pair[0], "--tls-key", pair[1])
    with running(folder, *flags, config=config, login=LOGIN) as server:
        yield Peer(name=OURS, url=server.url, pid=server.process.pid, login=LOGIN)


@contextmanager
def distribution(
    name: str, program: str, folder: Path, pair: tuple[Path, Path] | None
) -> Iterator[Peer]:
    """Distribution, 2.8 or 3: its example configuration, without users."""
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    tls = {} if pair is None else {"tls": {"certificate": str(pair[0]), "key": str(pair[1])}}
    config = {
        "version": 0.1,
        "log": {"fields": {"service": "registry"}},
        "storage": {
            "cache": {"blobdescriptor": "inmemory"},
            "filesystem": {"rootdirectory": str(folder / "data")},
            "delete": {"enabled": True},
        },
        "http": {"addr": f"127.0.0.1:{port}", "secret": "bench", **tls},
    }
    (folder / "config.yml").write_text(json.dumps(config))
    with _process(folder, [program, "serve", str(folder / "config.yml")]) as pid:
        wait_until(lambda: _listens(port), what=f"{name} listens")
        yield Peer(name=name, url=f"{'https' if pair else 'http'}://127.0.0.1:{port}", pid=pid)


@contextmanager
def nginx(folder: Path, pair: tuple[Path, Path] | None) -> Iterator[Peer]:
    """nginx with Debian's main settings; files at the paths of a registry."""
    (folder / "www").mkdir(parents=True)
    port = free_port()
    listen = f"listen 127.0.0.1:{port}{' ssl' if pair else ''};"
    tls = f"ssl_certificate {pair[0]}; ssl_certificate_key {pair[1]};" if pair else ""
    (folder / "nginx.conf").write_text(
        f"daemon off; user root; worker_processes auto; pid {folder}/pid;"
        f" error_log {folder}/error.log;\n"
        "events { worker_connections 768; }\n"
        "http { sendfile on; tcp_nopush on; default_type application/octet-stream;"
        f" keepalive_requests 1000000; access_log {folder}/access.log;"
        f" server {{ {listen} {tls} root {folder}/www; }} }}\n"
    )
    with _process(folder, ["nginx", "-c", str(folder / "nginx.conf")]) as pid:
        wait_until(lambda: _listens(port), what="nginx listens")
        url = f"{'https' if pair else 'http'}://127.0.0.1:{port}"
        yield Peer(name="nginx", url=url, pid=pid, files=folder / "www")


@contextmanager
def all_peers(folder: Path, pair: tuple[Path, Path] | None) -> Iterator[list[Peer]]:
    """Every server at once: those that are not asked cost nothing, and rounds can take turns."""
    with ExitStack() as stack:
        yield [
            stack.enter_context(ours(folder / OURS, pair)),
            stack.enter_context(
                distribution("Distribution 3", str(CACHE / "distribution"), folder / "v3", pair)
            ),
            stack.enter_context(
                distribution("Distribution 2.8", "docker-registry", folder / "v2", pair)
            ),
            stack.enter_context(nginx(folder / "nginx", pair)),
        ]


@contextmanager
def _process(folder: Path, command: list[str]) -> Iterator[int]:
    # without a collector to send traces to, version 3 would try one again and again
    environment = os.environ | {"OTEL_TRACES_EXPORTER": "none"}
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
    try:
        yield process.pid
    finally:
        process.terminate()
        process.wait(30)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except OSError:
        return False
    return True
