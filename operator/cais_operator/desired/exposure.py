# SPDX-License-Identifier: Apache-2.0
"""What leads from outside to the Service: an Ingress, or an HTTPRoute and its policy. Pure.

Only `/v2/` and `/token` are routed; the admin API and the metrics stay inside.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cais_operator import edge, names
from cais_operator.desired.metadata import finish
from cais_operator.render import Manifest, render
from cais_operator.resource import Gateway, Ingress, ParentRef, Registry
from cais_operator.settings import Settings

_SECONDS = 900  # in which a controller has to see a byte: a large blob is checked before the answer
_PATHS = (("/v2/", "Prefix"), ("/token", "Exact"))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ingress:
    name: str
    annotations: Mapping[str, str]
    class_name: str | None
    tls: tuple[Mapping[str, Any], ...] | None
    rules: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Route:
    name: str
    annotations: Mapping[str, str] | None
    parent_refs: tuple[Mapping[str, str], ...]
    hostnames: tuple[str, ...]
    backend_refs: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Policy:
    name: str
    target_refs: tuple[Mapping[str, str], ...]
    validation: Mapping[str, Any]


def exposure(
    registry: Registry, settings: Settings, *, host: str, has_bundle: bool
) -> tuple[Manifest, ...]:
    """Return what routes requests to the registry; nothing where clients come to its Service.

    Args:
        registry: The Registry.
        settings: Not used; every function of this room takes it.
        host: Name that the registry's certificate covers.
        has_bundle: Whether a CA is published for it; else the system's are believed.
    """
    del settings
    expose = registry.spec.expose
    if expose.type == "Ingress":
        return (_ingress(registry, expose.ingress or Ingress()),)
    if expose.type != "Gateway" or expose.gateway is None:
        return ()
    route = _route(registry, expose.gateway)
    if registry.spec.tls.is_disabled:
        return (route,)
    return (route, _policy(registry, host, has_bundle=has_bundle))


def _ingress(registry: Registry, asked: Ingress) -> Manifest:
    hosts, secret = registry.spec.expose.hostnames, edge.secret(registry)
    service = {"name": names.service(registry), "port": {"name": "registry"}}
    paths = [
        {"path": path, "pathType": kind, "backend": {"service": service}} for path, kind in _PATHS
    ]
    context = _Ingress(
        name=names.route(registry),
        annotations={**_for_controllers(registry), **asked.annotations},
        class_name=asked.class_name,
        tls=({"hosts": list(hosts), "secretName": secret},) if secret else None,
        rules=tuple({"host": host, "http": {"paths": paths}} for host in hosts),
    )
    return finish(render("ingress", context), registry)


def _for_controllers(registry: Registry) -> dict[str, str]:
    """Return what the common controllers need: bodies of any size, as they come, for as long.

    Each reads its own prefix and passes over the others. Traefik has no such limits; what it reads
    stands at the Service.
    """
    ingress_nginx, nginx = "nginx.ingress.kubernetes.io", "nginx.org"
    haproxy, haproxy_ingress = "haproxy.org", "haproxy-ingress.github.io"
    has_tls = not registry.spec.tls.is_disabled
    found = {
        f"{ingress_nginx}/proxy-body-size": "0",
        f"{ingress_nginx}/proxy-request-buffering": "off",
        f"{ingress_nginx}/proxy-buffering": "off",
        f"{ingress_nginx}/proxy-read-timeout": str(_SECONDS),
        f"{ingress_nginx}/proxy-send-timeout": str(_SECONDS),
        f"{ingress_nginx}/backend-protocol": "HTTPS" if has_tls else "HTTP",
        f"{nginx}/client-max-body-size": "0",
        f"{nginx}/proxy-buffering": "false",
        f"{nginx}/proxy-read-timeout": f"{_SECONDS}s",
        f"{nginx}/proxy-send-timeout": f"{_SECONDS}s",
        f"{haproxy}/timeout-server": f"{_SECONDS}s",
        f"{haproxy_ingress}/proxy-body-size": "unlimited",
        f"{haproxy_ingress}/timeout-server": f"{_SECONDS}s",
        f"{haproxy_ingress}/backend-protocol": "h1-ssl" if has_tls else "h1",
    }
    if has_tls:
        found |= {
            f"{nginx}/ssl-services": names.service(registry),
            f"{haproxy}/server-ssl": "true",
        }
    return found


def _route(registry: Registry, asked: Gateway) -> Manifest:
    context = _Route(
        name=names.route(registry),
        annotations=asked.annotations or None,
        parent_refs=tuple(_parent(one) for one in asked.parent_refs),
        hostnames=registry.spec.expose.hostnames,
        backend_refs=({"name": names.service(registry), "port": names.PORT},),
    )
    return finish(render("http-route", context), registry)


def _parent(ref: ParentRef) -> dict[str, str]:
    found = {"name": ref.name, "namespace": ref.namespace, "sectionName": ref.section_name}
    return {key: value for key, value in found.items() if value is not None}


def _policy(registry: Registry, host: str, *, has_bundle: bool) -> Manifest:
    """Have the Gateway speak TLS to the registry, and verify it as clients do."""
    bundle = {"group": "", "kind": "ConfigMap", "name": names.ca_config_map(registry)}
    known = {"caCertificateRefs": [bundle]} if has_bundle else {"wellKnownCACertificates": "System"}
    service = {"group": "", "kind": "Service", "name": names.service(registry)}
    context = _Policy(
        name=names.route(registry),
        target_refs=(service,),
        validation={"hostname": host, **known},
    )
    return finish(render("backend-tls-policy", context), registry)
