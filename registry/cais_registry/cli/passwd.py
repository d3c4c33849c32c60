# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import argparse
import getpass
import os
import sys
import tempfile
from pathlib import Path
from typing import Final

from cais_registry.cli.errors import CommandError
from cais_registry.config.errors import ConfigError
from cais_registry.http import htpasswd

_COST: Final = 10


def run(options: argparse.Namespace) -> int:
    """Put a user's new hash into the file; the lines of other users stay as they are.

    With `keep_old` the user's password before it stays beside it: the newest, if there were two.
    """
    path = Path(options.file)
    try:
        htpasswd.check_name(options.user)
        text = path.read_text("utf-8") if path.exists() else ""
        htpasswd.parse(text)
    except htpasswd.HtpasswdError as error:
        raise ConfigError(f"{path}: {error}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error
    password = _ask()
    import bcrypt  # noqa: PLC0415 - not before everything else is fine

    hashed = bcrypt.hashpw(password, bcrypt.gensalt(_COST)).decode()
    lines = text.splitlines()
    own = [line for line in lines if line.strip().partition(":")[0] == options.user]
    others = [line for line in lines if line not in own]
    old = own[-1:] if options.keep_old else []
    _replace(path, "\n".join([*others, *old, f"{options.user}:{hashed}"]) + "\n")
    return 0


def _ask() -> bytes:
    if not sys.stdin.isatty():
        return _check(sys.stdin.readline().rstrip("\r\n"))
    first = getpass.getpass("password: ")
    if getpass.getpass("again: ") != first:
        raise CommandError("the two passwords differ; nothing was changed")
    return _check(first)


def _check(password: str) -> bytes:
    secret = password.encode()
    if not secret or b"\0" in secret or len(secret) > htpasswd.MOST_PASSWORD_BYTES:
        raise CommandError(
            f"a password has 1 to {htpasswd.MOST_PASSWORD_BYTES} bytes (bcrypt reads no more)"
        )
    return secret


def _replace(path: Path, text: str) -> None:
    """Write beside and rename: a server that looks at this moment sees the old file or the new."""
    mode = path.stat().st_mode & 0o777 if path.exists() else 0o600
    try:
        descriptor, name = tempfile.mkstemp(dir=path.absolute().parent, prefix=".htpasswd-")
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            os.fchmod(file.fileno(), mode)
        Path(name).replace(path)
    except OSError as error:
        raise CommandError(f"{path} cannot be written: {error.strerror or error}") from error
