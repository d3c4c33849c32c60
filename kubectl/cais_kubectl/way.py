# SPDX-License-Identifier: Apache-2.0
"""How the registry of a Registry is reached from here: by its address, or through the cluster."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import urlsplit

from cais_kubectl import registries
from cais_kubectl.api import Api
from cais_kubectl.errors import Failure, NotFound
from cais_kubectl.kubectl import Kubectl

WAYS: Final = ("auto", "address", "port-forward")
_PORTS: Final = {"https": 443, "http": 80}


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """Where to connect to, and whom to expect there.

    Attributes:
        host: To connect to.
        port: To connect to.
        name: That the certificate has to have.
        address: What image names begin with, `host:port` as the status has it.
        is_plain: Whether there is no TLS.
        authority: CA certificates to believe, PEM; None means those of the system.
    """

    host: str
    port: int
    name: str
    address: str
    is_plain: bool = False
    authority: str | None = None


def forwards(registry: Mapping[str, Any], asked: str) -> bool:
    """Whether the way leads through kubectl: as asked, else as `spec.expose` says."""
    return asked == "port-forward" or (asked == "auto" and registries.is_inside(registry))


@contextmanager
def to(
    registry: Mapping[str, Any], api: Api, kubectl: Kubectl, *, asked: str, local: int = 0
) -> Iterator[Way]:
    """Open a way to a registry.

    Args:
        registry: Which.
        api: For the CA to believe.
        kubectl: Forwards a port.
        asked: One of `WAYS`.
        local: Port on loopback when one is forwarded; 0 is any.

    Raises:
        Failure: When there is no way, or none yet.
    """
    found = _by_address(registry, authority_of(registry, api))
    if not forwards(registry, asked):
        yield found
        return
    namespace, name = registries.key_of(registry)
    with kubectl.forward(namespace, name, registries.PORT, local) as port:
        yield replace(found, host="127.0.0.1", port=port)


def address_of(registry: Mapping[str, Any]) -> str:
    """Return what image names begin with for clients.

    Raises:
        Failure: When the status does not say.
    """
    return urlsplit(_url(registry)).netloc


def authority_of(registry: Mapping[str, Any], api: Api) -> str | None:
    """Return the CA certificates that clients have to trust; None without any of its own.

    Raises:
        Failure: When the status names some and they are not there.
    """
    name = (registries.status_of(registry).get("caBundle") or {}).get("configMapName")
    if not name:
        return None
    namespace, _ = registries.key_of(registry)
    try:
        found = api.get(f"/api/v1/namespaces/{namespace}/configmaps/{name}")
        return str(found["data"]["ca.crt"])
    except (NotFound, KeyError) as error:
        raise Failure(
            f"the ConfigMap {namespace}/{name} with the CA is not there (yet): look at"
            f" `kubectl cais status -n {namespace}`"
        ) from error


def _by_address(registry: Mapping[str, Any], authority: str | None) -> Way:
    parts = urlsplit(_url(registry))
    host = parts.hostname or ""
    return Way(
        host=host,
        port=parts.port or _PORTS[parts.scheme],
        name=host,
        address=parts.netloc,
        is_plain=parts.scheme == "http",
        authority=authority,
    )


def _url(registry: Mapping[str, Any]) -> str:
    url = str(registries.status_of(registry).get("url") or "")
    namespace, name = registries.key_of(registry)
    if not url.startswith(("https://", "http://")):
        raise Failure(
            f"Registry {namespace}/{name} has no address yet: `kubectl cais status {name} -n"
            f" {namespace}` says what is missing"
        )
    return url
