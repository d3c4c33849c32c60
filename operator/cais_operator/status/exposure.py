# SPDX-License-Identifier: Apache-2.0
"""Where clients reach the registry, and whether that is as asked for. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

from cais_operator import brought, edge, names
from cais_operator.certificates import facts_in
from cais_operator.observed import Live, Observed, balancer_of
from cais_operator.resource import Registry
from cais_operator.status.conditions import Condition

_TYPE = "Exposed"
_LONGEST = 300  # characters of a controller's words


def addresses(registry: Registry, observed: Observed) -> dict[str, Any]:
    """Return `url`, `endpoints` and `clusterIP`.

    The ClusterIP stays known while the Service is gone: it is asked for again then.
    """
    service = observed.child("Service", names.service(registry)) or {}
    said = facts_in(observed.child("Secret", names.tls_secret(registry)))
    inside = f"{brought.reached_by(registry, said)}:{names.PORT}"
    scheme, outside = _outside(registry, service) or (names.scheme(registry), inside)
    route = _route(registry, observed)
    return {
        "url": f"{scheme}://{outside}",
        "endpoints": {
            "push": outside,
            "pull": inside,
            **({} if route is None else {"route": f"{route['kind']}/{names.route(registry)}"}),
        },
        "clusterIP": (service.get("spec") or {}).get("clusterIP")
        or registry.status.get("clusterIP"),
    }


def condition(registry: Registry, observed: Observed) -> Condition | None:
    """Return Exposed; None where clients come to the Service by themselves."""
    kind = registry.spec.expose.type
    if kind in ("ClusterIP", "NodePort"):
        return None
    if observed.exposure is not None:
        refusal = observed.exposure
        return Condition(
            type=_TYPE,
            status="False",
            reason=refusal.reason,
            message=refusal.message,
            waits=refusal.waits,
            stalls=not refusal.waits,
        )
    if kind == "LoadBalancer":
        return _balanced(registry, observed)
    return _routed(registry, observed)


def _balanced(registry: Registry, observed: Observed) -> Condition:
    name = names.service(registry)
    found = balancer_of(observed.child("Service", name) or {})
    listening = ", ".join((*found.dns, *found.ips))
    if not listening:
        return _not_yet("AddressPending", f"the Service {name} has no load balancer's address yet")
    message = f"the load balancer listens at {listening}"
    return Condition(type=_TYPE, status="True", reason="Balanced", message=message)


def _routed(registry: Registry, observed: Observed) -> Condition:
    route = _route(registry, observed)
    if route is None:
        return _not_yet("RoutePending", "what routes requests to it is not there yet")
    shown = f"{route['kind']} {names.route(registry)}"
    if route["kind"] == "HTTPRoute":
        refused = _refused_by_gateways(route)
        if refused is not None:
            return _not_yet("RouteNotAccepted", f"the {shown} is not in force: {refused}")
    hosts = ", ".join(registry.spec.expose.hostnames)
    message = f"the {shown} routes /v2/ and /token of {hosts}"
    return Condition(type=_TYPE, status="True", reason="Routed", message=message)


def _refused_by_gateways(route: Live) -> str | None:
    """Return why no Gateway carries a route, or one of them does not; None when all do."""
    parents = (route.get("status") or {}).get("parents") or ()
    if not parents:
        return "no Gateway has taken it up yet"
    return next(_refusals(parents), None)


def _refusals(parents: list[Mapping[str, Any]]) -> Iterator[str]:
    for parent in parents:
        name = (parent.get("parentRef") or {}).get("name", "")
        for one in parent.get("conditions") or ():
            if one.get("type") in ("Accepted", "ResolvedRefs") and one.get("status") != "True":
                yield f"Gateway {name} says {str(one.get('message'))[:_LONGEST]}"


def _route(registry: Registry, observed: Observed) -> Live | None:
    for kind in ("Ingress", "HTTPRoute"):
        found = observed.child(kind, names.route(registry))
        if found is not None:
            return {**found, "kind": kind}
    return None


def _outside(registry: Registry, service: Live) -> tuple[str, str] | None:
    """Return scheme and address for clients outside of the cluster; None when there is none."""
    hostnames = registry.spec.expose.hostnames
    first = next(iter(hostnames), "")
    match registry.spec.expose.type:
        case "Ingress" | "Gateway":
            return edge.scheme(registry), first
        case "LoadBalancer":
            balancer = balancer_of(service)
            ips = (f"[{ip}]" if ":" in ip else ip for ip in balancer.ips)
            host = next(iter((*hostnames, *balancer.dns, *ips)), "")
            return (names.scheme(registry), f"{host}:{names.PORT}") if host else None
        case _:
            ports = (
                port.get("nodePort") for port in (service.get("spec") or {}).get("ports") or ()
            )
            port = next((one for one in ports if one), None)
            return (names.scheme(registry), f"{first}:{port}") if first and port else None


def _not_yet(reason: str, message: str) -> Condition:
    return Condition(type=_TYPE, status="False", reason=reason, message=message)
