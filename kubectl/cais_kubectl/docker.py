# SPDX-License-Identifier: Apache-2.0
"""Clients that log in, and where they look for a CA to trust."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cais_kubectl.errors import WRONG, Failure
from cais_kubectl.registry_http import Login


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """One program.

    Attributes:
        login: Its words before the address.
        trusts_loopback: Whether it takes any certificate at localhost.
        folders: Where it looks for CAs, below which each registry has a folder: for everybody,
            and for a person, below their home or absolute; None where it has none.
    """

    login: tuple[str, ...]
    trusts_loopback: bool = False
    folders: tuple[str, str] | None = None


_CONTAINERS: Final = ("/etc/containers/certs.d", ".config/containers/certs.d")
_LOGIN: Final = ("login",)
CLIENTS: Final = {
    "docker": Client(
        login=_LOGIN,
        trusts_loopback=True,
        folders=("/etc/docker/certs.d", "/etc/docker/certs.d"),  # its daemon runs as root
    ),
    "podman": Client(login=_LOGIN, folders=_CONTAINERS),
    "buildah": Client(login=_LOGIN, folders=_CONTAINERS),
    "skopeo": Client(login=_LOGIN, folders=_CONTAINERS),
    "crane": Client(login=("auth", "login")),
    "oras": Client(login=_LOGIN),
    "helm": Client(login=("registry", "login")),
}


def log_in(name: str, address: str, login: Login) -> str:
    """Let a client log in and keep the password where it keeps them; return its words.

    Raises:
        Failure: When it could not, in its words.
    """
    command = [name, *CLIENTS[name].login, address, "--username", login.user, "--password-stdin"]
    try:
        done = subprocess.run(
            command, input=login.password, text=True, capture_output=True, check=False
        )
    except FileNotFoundError as error:
        known = ", ".join(CLIENTS)
        raise Failure(
            f"there is no {name} on the PATH: name another client with --client ({known}), or"
            " print the login with --print"
        ) from error
    if done.returncode != 0:
        words = (done.stderr or done.stdout).strip()
        raise Failure(f"{name} could not log in to {address}: {words}{_hint(words)}", WRONG)
    return done.stdout.strip()


def _hint(words: str) -> str:
    if "x509" in words or "certificate" in words:
        return ". It does not trust the CA: --trust puts it where it looks"
    if "no such host" in words or "lookup" in words:
        return ". It does not know that name: --via port-forward leads there through kubectl"
    return ""


def auths(address: str, login: Login) -> str:
    """Return the document of docker, podman and others in which a login is kept."""
    return json.dumps({"auths": {address: {"auth": login.basic()}}}, indent=2)


def trust(name: str, address: str, authority: str, folder: str | None) -> Path:
    """Put a CA where a client looks for it; return the file.

    Args:
        name: Of the client.
        address: Of the registry.
        authority: PEM.
        folder: Instead of the client's own.

    Raises:
        Failure: When it has no such folder, or it cannot be written.
    """
    place = Path(folder) if folder else _folder(name)
    if place is None:
        raise Failure(
            f"{name} has no folder for CAs: add ca.crt to the machine's own, or give"
            " SSL_CERT_FILE; kubectl cais login --print-ca prints it"
        )
    file = place / address / "ca.crt"
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        _replace(file, authority)
    except OSError as error:
        raise Failure(
            f"{file} cannot be written: {error.strerror}. Write it as root: kubectl cais login"
            f" --print-ca | sudo install -D -m 644 /dev/stdin {file}"
        ) from error
    return file


def _folder(name: str) -> Path | None:
    folders = CLIENTS[name].folders
    if folders is None:
        return None
    everybody, own = folders
    return Path(everybody) if os.geteuid() == 0 else Path.home() / own


def _replace(file: Path, text: str) -> None:
    """Write a file that is there as a whole or not at all."""
    with tempfile.NamedTemporaryFile("w", dir=file.parent, delete=False) as new:
        try:
            new.write(text)
            new.flush()
            Path(new.name).chmod(0o644)
            Path(new.name).replace(file)
        except OSError:
            Path(new.name).unlink(missing_ok=True)
            raise
