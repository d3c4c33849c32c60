# SPDX-License-Identifier: Apache-2.0
"""Where the API server is and who we are to it."""

import copy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from kubernetes.aio.client.configuration import Configuration
from kubernetes.aio.config import (
    ConfigException,
    load_incluster_config,
    load_kube_config,
)

from cais_operator import errors


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """How to reach the API server, for a client that is not ours.

    Attributes:
        server: URL.
        ca_path: File with the CA certificates; None means the system's.
        insecure: Whether the server's certificate is not checked.
        authorization: Value of the Authorization header, read at this moment; None without one.
        certificate_path: File with the client certificate.
        key_path: File with its key.
    """

    server: str
    ca_path: str | None
    insecure: bool
    authorization: str | None = field(repr=False)
    certificate_path: str | None
    key_path: str | None


class Connection:
    """A loaded configuration, shared by our client and by what sources our events."""

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration

    def configuration(self) -> Configuration:
        """Return a copy to build a client from; it reads a rotated token by itself.

        In a cluster the client's hook reads the token file anew once a minute, before a request;
        the kubelet renews the file long before the old token ends.
        """
        loaded = copy.copy(self._configuration)
        loaded.api_key = dict(self._configuration.api_key)
        return loaded

    @property
    def is_proxied(self) -> bool:
        """Whether `HTTPS_PROXY` and its like lead to the API server, and `NO_PROXY` does not."""
        server = urlsplit(self._configuration.host)
        return server.scheme in getproxies() and not proxy_bypass(server.hostname or "")

    async def credentials(self) -> Credentials:
        """Return what stands in the files now."""
        loaded: Any = self._configuration
        auth = await loaded.auth_settings()
        return Credentials(
            server=loaded.host,
            ca_path=loaded.ssl_ca_cert,
            insecure=not loaded.verify_ssl,
            authorization=auth.get("BearerToken", {}).get("value"),
            certificate_path=loaded.cert_file,
            key_path=loaded.key_file,
        )


async def connect(kubeconfig: Path | None) -> Connection:
    """Read how to reach the API server.

    Args:
        kubeconfig: The file to use; None means the pod's service account, and where there is
            none, `$KUBECONFIG` or `~/.kube/config`.

    Raises:
        errors.CaisError: When there is nothing usable; says where was looked.
    """
    configuration = Configuration()
    configuration.retries = None  # the queue retries, with backoff (0 would mean for ever)
    try:
        if kubeconfig is not None:
            await _from_file(configuration, str(kubeconfig))
        else:
            await _from_surroundings(configuration)
    except (ConfigException, OSError) as error:
        place = str(kubeconfig) if kubeconfig else "the pod, $KUBECONFIG and ~/.kube/config"
        raise errors.CaisError(f"no way to an API server in {place}: {error}") from error
    return Connection(configuration)


async def _from_surroundings(configuration: Configuration) -> None:
    try:
        load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
    except ConfigException:
        await _from_file(configuration, None)


async def _from_file(configuration: Configuration, path: str | None) -> None:
    await load_kube_config(  # type: ignore[no-untyped-call]
        config_file=path, client_configuration=configuration, persist_config=False
    )
