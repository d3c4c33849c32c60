# SPDX-License-Identifier: Apache-2.0
"""What clients meet that come through an Ingress or a Gateway, and what of it cannot be. Pure."""

from collections.abc import Iterator, Mapping

from cais_operator import names
from cais_operator.errors import Problem
from cais_operator.resource import Expose, Registry


def secret(registry: Registry) -> str | None:
    """Return the Secret of which an Ingress serves the certificate; None for plain HTTP."""
    asked = registry.spec.expose.ingress
    if asked is not None and asked.tls_secret_name is not None:
        return asked.tls_secret_name
    return None if registry.spec.tls.is_disabled else names.tls_secret(registry)


def scheme(registry: Registry) -> str:
    """Return `https` or `http` as clients speak that come by a host name without a port."""
    kind = registry.spec.expose.type
    if kind == "Gateway":
        return "https"
    if kind == "Ingress":
        return "https" if secret(registry) else "http"
    return names.scheme(registry)


def problems(registry: Registry) -> Iterator[Problem]:
    """Yield what of the exposure cannot be: blocks of another type, no host name, our prefixes."""
    expose = registry.spec.expose
    blocks = (
        ("nodePort", "NodePort", expose.node_port),
        ("loadBalancer", "LoadBalancer", expose.load_balancer),
        ("ingress", "Ingress", expose.ingress),
        ("gateway", "Gateway", expose.gateway),
    )
    for field, kind, value in blocks:
        if value is not None and expose.type != kind:
            shown = value if isinstance(value, int) else expose.type
            rule = f"needs type {kind}"
            yield Problem(field=f"spec.expose.{field}", value=shown, rule=rule)
    if expose.type == "Gateway" and expose.gateway is None:
        rule = "needs spec.expose.gateway, with the Gateways that carry it"
        yield Problem(field="spec.expose.type", value=expose.type, rule=rule)
    if expose.type in ("Ingress", "Gateway") and not expose.hostnames:
        rule = "needs a name in spec.expose.hostnames"
        yield Problem(field="spec.expose.type", value=expose.type, rule=rule)
    prefixes = ", ".join(names.RESERVED_PREFIXES)
    for field, given in _annotations(expose):
        for key in given:
            if key.startswith(names.RESERVED_PREFIXES):
                rule = f"may not begin with {prefixes}"
                yield Problem(field=f"spec.expose.{field}", value=key, rule=rule)


def _annotations(expose: Expose) -> Iterator[tuple[str, Mapping[str, str]]]:
    if expose.load_balancer is not None:
        yield "loadBalancer.annotations", expose.load_balancer.annotations
    if expose.ingress is not None:
        yield "ingress.annotations", expose.ingress.annotations
        yield "ingress.serviceAnnotations", expose.ingress.service_annotations
    if expose.gateway is not None:
        yield "gateway.annotations", expose.gateway.annotations
