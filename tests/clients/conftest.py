# SPDX-License-Identifier: Apache-2.0
"""A server with TLS and login, and an environment in which clients trust it and log in."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

import programs
from support.registry import Server, htpasswd, make_certificate, running
from support.tokens import Key, configure, offer

USER, PASSWORD = "ci", "push-and-pull"


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a client works.

    Attributes:
        server: The registry; `ask` is logged in.
        host: What the client calls it.
        folder: For its files.
        environment: In it a Go program trusts the registry, and finds credentials.
        ca: Certificate of the registry.
    """

    server: Server
    host: str
    folder: Path
    environment: Mapping[str, str]
    ca: Path

    def run(self, *command: str | Path, **more: str) -> str:
        """Run a client; it has to succeed. Returns its standard output."""
        ended = self._run(command, more)
        assert ended.returncode == 0, f"{command}: {ended.stdout}{ended.stderr}"
        return ended.stdout

    def shown(self, *command: str | Path, fails: bool = False) -> str:
        """Run a client; it has to succeed, or to fail. Returns all that a person sees."""
        ended = self._run(command, {})
        assert (ended.returncode != 0) is fails, f"{command}: {ended.stdout}{ended.stderr}"
        return ended.stdout + ended.stderr

    def _run(
        self, command: tuple[str | Path, ...], more: Mapping[str, str]
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(part) for part in command],
            env={**self.environment, **more},
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=240,
        )

    def tokens(self) -> int:
        """How many tokens clients have got so far."""
        lines = self.server.lines()
        return sum((line.get("path"), line.get("status")) == ("/token", 200) for line in lines)

    def digest(self, repo: str, reference: str) -> str | None:
        """What the registry says a reference is; None if it knows none."""
        answer = self.server.ask("HEAD", f"/v2/{repo}/manifests/{reference}")
        return answer["Docker-Content-Digest"] if answer.status == 200 else None


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A folder whose name leaves room for the names of sockets (108 bytes, unix(7))."""
    with tempfile.TemporaryDirectory(prefix="cais-") as folder:
        yield Path(folder)


PASSWORD_EACH_TIME, TOKENS = "password", "token"
"""What `place` can be parametrized with: how the registry lets clients in."""


@pytest.fixture
def place(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Place]:
    way = getattr(request, "param", PASSWORD_EACH_TIME)
    home = tmp_path / "home"
    home.mkdir()
    certificate, key = make_certificate(tmp_path)
    users = tmp_path / "users"
    users.write_text(htpasswd(**{USER: PASSWORD}))
    arguments = ("--tls-cert", certificate, "--tls-key", key, "--htpasswd", users)
    config = {"tokens": configure(tmp_path, Key(), realms={})} if way == TOKENS else None
    with running(tmp_path, *arguments, config=config, login=f"{USER}:{PASSWORD}") as server:
        host = "{}:{}".format(*server.address)
        if config is not None:
            offer(server, config)
        encoded = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        (home / "config.json").write_text(json.dumps({"auths": {host: {"auth": encoded}}}))
        environment = {
            "PATH": f"{programs.cache_folder() / 'bin'}:{os.environ['PATH']}",
            "HOME": str(home),
            "DOCKER_CONFIG": str(home),
            "REGISTRY_AUTH_FILE": str(home / "config.json"),
            "SSL_CERT_FILE": str(certificate),
        }
        made = Place(
            server=server, host=host, folder=tmp_path, environment=environment, ca=certificate
        )
        yield made
        assert (made.tokens() > 0) is (way == TOKENS)  # clients went the way that was meant
