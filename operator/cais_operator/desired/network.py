# SPDX-License-Identifier: Apache-2.0
"""The Service and the NetworkPolicies. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from cais_operator import names
from cais_operator.desired.metadata import finish
from cais_operator.render import Manifest, render
from cais_operator.resource import Ingress, LoadBalancer, Registry
from cais_operator.settings import Settings

_OF_SERVICES = ("NodePort", "LoadBalancer")
# Names are resolved at port 53, or at 5353 where the cluster's DNS pods listen there.
_NAMES = [
    {"port": port, "protocol": protocol} for port in (53, 5353) for protocol in ("UDP", "TCP")
]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Service:
    name: str
    type: str
    cluster_ip: str | None
    selector: Mapping[str, str]
    port: int
    node_port: int | None
    load_balancer_class: str | None
    source_ranges: tuple[str, ...] | None
    ip_family_policy: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Policy:
    name: str
    selector: Mapping[str, str]
    server_selector: Mapping[str, str]
    port: int
    egress: tuple[Mapping[str, Any], ...] | None = None


def service(registry: Registry, settings: Settings, *, keep_address: bool = True) -> Manifest:
    """Return the Service; it comes first, because its ClusterIP goes into the certificate.

    Args:
        registry: The Registry.
        settings: For the families of its addresses.
        keep_address: Ask again for the ClusterIP that the status knows, because nodes and
            certificates carry it. False when the API server refused that (someone else has it).
    """
    expose = registry.spec.expose
    balancer = expose.load_balancer or LoadBalancer()
    context = _Service(
        name=names.service(registry),
        type=expose.type if expose.type in _OF_SERVICES else "ClusterIP",
        cluster_ip=registry.status.get("clusterIP") if keep_address else None,
        selector=names.selector(registry, names.REGISTRY),
        port=names.PORT,
        node_port=expose.node_port if expose.type == "NodePort" else None,
        load_balancer_class=balancer.class_name,
        source_ranges=balancer.source_ranges or None,
        ip_family_policy=settings.ip_family_policy or None,
    )
    made = finish(render("service", context), registry)
    annotations = {**balancer.annotations, **_for_controllers(registry)}
    if annotations:
        made["metadata"]["annotations"] = annotations
    return made


def _for_controllers(registry: Registry) -> dict[str, str]:
    """Return what controllers of Ingresses read at the Service."""
    expose = registry.spec.expose
    if expose.type != "Ingress":
        return {}
    asked = (expose.ingress or Ingress()).service_annotations
    scheme = {"traefik.ingress.kubernetes.io/service.serversscheme": names.scheme(registry)}
    return {**scheme, **asked}


def network_policy(registry: Registry, settings: Settings) -> Manifest:
    """Return the server's policy: anyone may reach its port, it may reach nobody.

    Over a bucket and a database it may open TCP connections, to any address and port: a policy
    knows no names, and of a Service it sees the port of the pods behind it.
    """
    del settings
    context = _policy(registry, names.network_policy(registry), names.REGISTRY)
    if registry.spec.storage.mounted is None:
        context = replace(context, egress=({"ports": _NAMES}, {"ports": [{"protocol": "TCP"}]}))
    return finish(render("network-policy", context), registry)


def gc_network_policy(registry: Registry, settings: Settings) -> Manifest:
    """Return the garbage collection pods' policy: DNS and the server, nothing else."""
    del settings
    context = _policy(registry, names.gc_network_policy(registry), names.GC_COMPONENT)
    return finish(render("gc-network-policy", context), registry, component=names.GC_COMPONENT)


def _policy(registry: Registry, name: str, component: str) -> _Policy:
    return _Policy(
        name=name,
        selector=names.selector(registry, component),
        server_selector=names.selector(registry, names.REGISTRY),
        port=names.PORT,
    )
