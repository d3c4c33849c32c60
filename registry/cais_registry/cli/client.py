# SPDX-License-Identifier: Apache-2.0
"""A small HTTP client for the admin API of a running server."""

from __future__ import annotations

import argparse
import base64
import json
import ssl
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from cais_registry.cli.errors import CommandError
from cais_registry.config.errors import ConfigError

_TIMEOUT_SECONDS: Final = 30.0
_MOST_ANSWER: Final = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """Where a server is and how to log in there.

    Attributes:
        server: URL without path.
        opener: Sends requests; trusts the certificates it was given.
        authorization: Value of the header, None for no login.
    """

    server: str
    opener: urllib.request.OpenerDirector
    authorization: str | None = field(repr=False)

    def call(self, method: str, path: str, content: Any = None) -> Any:  # noqa: ANN401 - JSON
        """Send a request and return the answer's JSON.

        Raises:
            CommandError: If the server is not reached or refuses, in its own words.
        """
        body = None if content is None else json.dumps(content).encode()
        request = urllib.request.Request(self.server + path, data=body, method=method)  # noqa: S310 - http and https only, checked
        if self.authorization is not None:
            request.add_header("Authorization", self.authorization)
        try:
            with self.opener.open(request, timeout=_TIMEOUT_SECONDS) as answer:
                return json.loads(answer.read(_MOST_ANSWER))
        except urllib.error.HTTPError as error:
            raise CommandError(f"{self.server}: {_explain(error)}") from error
        except (urllib.error.URLError, OSError, ValueError) as error:
            reason = getattr(error, "reason", None) or error
            raise CommandError(f"{self.server} cannot be asked: {reason}") from error


def build(options: argparse.Namespace) -> Client:
    """Make a client from `--server`, `--ca-file` and `--credentials-file`.

    Raises:
        ConfigError: If one of them cannot be used.
    """
    server = str(options.server).rstrip("/")
    if not server.startswith(("http://", "https://")):
        raise ConfigError(f"--server {server[:80]!r} does not begin with http:// or https://")
    handlers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler({})]
    if server.startswith("https://"):
        handlers.append(urllib.request.HTTPSHandler(context=_trust(options.ca_file)))
    return Client(
        server=server,
        opener=urllib.request.build_opener(*handlers),
        authorization=authorization(options.credentials_file),
    )


def _trust(ca_file: str | None) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        raise ConfigError(f"--ca-file {ca_file} cannot be used: {error}") from error
    # The file may name the server's own certificate, or its issuer that is no root.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    # Python 3.13 asks for extensions (RFC 5280) that certificates of one's own often lack, and that
    # docker and containerd do not ask for.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


def authorization(path: str | None) -> str | None:
    """Value of the `Authorization` header for the user in a credentials file.

    Raises:
        ConfigError: If the file cannot be used.
    """
    if path is None:
        return None
    try:
        line = Path(path).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"--credentials-file {path} cannot be read: {error}") from error
    if ":" not in line or "\n" in line:
        raise ConfigError(f"--credentials-file {path} is not one line, user:password")
    return "Basic " + base64.b64encode(line.encode()).decode()


def _explain(error: urllib.error.HTTPError) -> str:
    try:
        first = json.loads(error.read(_MOST_ANSWER))["errors"][0]
    except (ValueError, LookupError, TypeError):
        return f"answered {error.code}, which no Cais registry does: is it one?"
    return f"{first.get('message')} ({error.code} {first.get('code')})"
