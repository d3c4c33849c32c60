# SPDX-License-Identifier: Apache-2.0
"""Builds the source of `import --from URL`."""

from __future__ import annotations

import argparse

from cais_registry.cli.client import authorization
from cais_registry.config.errors import ConfigError
from cais_registry.model.errors import NameInvalid
from cais_registry.model.names import RepoName
from cais_registry.remote.client import Client
from cais_registry.remote.registry import RemoteRegistry
from cais_registry.remote.site import parse_source
from cais_registry.remote.tokens import Login
from cais_registry.remote.transport import Transport, trust


def remote(options: argparse.Namespace) -> RemoteRegistry:
    """A registry that runs, as the options name it.

    Raises:
        ConfigError: If one of them cannot be used.
    """
    site = parse_source(options.source)
    try:
        names = [RepoName.parse(name) for name in options.repository or ()]
    except NameInvalid as error:
        raise ConfigError(f"--repository: {error.message}") from error
    try:
        context = trust(options.ca_file)
    except OSError as error:
        raise ConfigError(f"--ca-file {options.ca_file} cannot be used: {error}") from error
    login = Login(
        site=site,
        basic=authorization(options.credentials_file),
        auth_hosts=frozenset(options.auth_host or ()),
    )
    return RemoteRegistry(Client(Transport(context), login), names)
