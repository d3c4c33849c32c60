# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import argparse
import logging
import logging.config
import socket
from pathlib import Path

from cais_registry.app import listening, logs
from cais_registry.app.files import Files
from cais_registry.cli.errors import CommandError
from cais_registry.config.errors import ConfigError
from cais_registry.config.settings import Flags, Settings
from cais_registry.stores import layout

_logger = logging.getLogger("cais")


def run(options: argparse.Namespace) -> int:
    """Check every setting, take the lock of the data, and serve.

    Raises:
        ConfigError: If a setting is wrong; nothing was touched.
        CommandError: If the data cannot be used.
    """
    flags = Flags(
        data=options.data,
        listen=options.listen,
        tls_cert=options.tls_cert,
        tls_key=options.tls_key,
        htpasswd=options.htpasswd,
    )
    files = Files(None if options.config is None else Path(options.config), flags)
    settings = files.loaded.settings
    if settings.storage is not None:
        from cais_registry.app import objects  # noqa: PLC0415 - not needed for files

        objects.access(settings.storage.s3)  # a file that is wrong is told before anything begins
    logging.config.dictConfig(logs.configuration(settings.log.format))
    from cais_registry.app import supervisor  # noqa: PLC0415 - loads the HTTP server

    listener = _listen(settings)
    try:
        layout.lock(settings.data)  # kept open as long as this process and its workers live
    except layout.UnusableData as error:
        raise CommandError(str(error)) from error
    _announce(settings, listener)
    supervisor.run(files, listener)
    return 0


def _listen(settings: Settings) -> socket.socket:
    try:
        return listening.listen(settings.host, settings.port, settings.stalled)
    except OSError as error:
        reason = error.strerror or error
        raise ConfigError(
            f"listen: {settings.host}:{settings.port} cannot be used: {reason}"
        ) from error


def _announce(settings: Settings, listener: socket.socket) -> None:
    host, port = listener.getsockname()[:2]
    scheme = "http" if settings.tls is None else "https"
    shown = f"[{host}]" if ":" in host else host
    url = f"{scheme}://{shown}:{port}"
    _logger.info("serving %s, data in %s", url, settings.data, extra={"url": url})
    if settings.auth is None:
        _logger.warning("open to anyone who reaches it: no users are configured (--htpasswd)")
    elif not settings.access.rules and not settings.access.anonymous:
        _logger.warning("nobody may do anything: `access` has no rules")
