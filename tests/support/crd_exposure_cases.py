# SPDX-License-Identifier: Apache-2.0
"""Examples for the rules about exposure."""

from typing import Any

from support.crd_case import Case, Spec

_GATEWAY: Spec = {"parentRefs": [{"name": "edge"}]}


def _expose(kind: str, **more: Any) -> Spec:
    return {"expose": {"type": kind, **more}}


def _annotated(field: str, key: str) -> Spec:
    """Return what gives the field, such as `ingress.annotations`, an annotation of that key."""
    block, _, part = field.partition(".")
    kind = block[0].upper() + block[1:]
    base = _GATEWAY if block == "gateway" else {}
    return _expose(kind, hostnames=["r.example.com"], **{block: {**base, part: {key: "b"}}})


EXPOSURE_CASES = (
    Case(
        message="loadBalancer needs type LoadBalancer",
        accepted=_expose("LoadBalancer", loadBalancer={"sourceRanges": ["10.0.0.0/8"]}),
        refused=_expose("NodePort", loadBalancer={}),
    ),
    Case(
        message="ingress needs type Ingress",
        accepted=_expose("Ingress", hostnames=["r.example.com"], ingress={}),
        refused=_expose("ClusterIP", hostnames=["r.example.com"], ingress={}),
    ),
    Case(
        message="type Gateway and gateway need each other",
        accepted=_expose("Gateway", hostnames=["r.example.com"], gateway=_GATEWAY),
        refused=_expose("Gateway", hostnames=["r.example.com"]),
    ),
    Case(
        message="type Gateway and gateway need each other",
        accepted=_expose("ClusterIP"),
        refused=_expose("ClusterIP", gateway=_GATEWAY),
    ),
    Case(
        message="type Ingress or Gateway needs a name in hostnames",
        accepted=_expose("Ingress", hostnames=["r.example.com"]),
        refused=_expose("Ingress"),
    ),
    Case(
        message="type Ingress or Gateway needs a name in hostnames",
        accepted=_expose("LoadBalancer"),
        refused=_expose("Gateway", hostnames=[], gateway=_GATEWAY),
    ),
    *(
        Case(
            message="exposure annotations that begin with",
            field=f"spec.expose.{field}",
            accepted=_annotated(field, "example.com/a"),
            refused=_annotated(field, f"{prefix}/a"),
        )
        for field, prefix in (
            ("loadBalancer.annotations", "cais.dev"),
            ("loadBalancer.annotations", "app.kubernetes.io"),
            ("ingress.annotations", "cais.dev"),
            ("ingress.serviceAnnotations", "app.kubernetes.io"),
            ("gateway.annotations", "cais.dev"),
        )
    ),
)

EXPOSURE_BROKEN: tuple[tuple[str, Spec], ...] = (
    ("spec.expose.gateway.parentRefs", _expose("Gateway", gateway={"parentRefs": []})),
    ("spec.expose.gateway.parentRefs[0].name", _expose("Gateway", gateway={"parentRefs": [{}]})),
    (
        "spec.expose.loadBalancer.sourceRanges[0]",
        _expose("LoadBalancer", loadBalancer={"sourceRanges": ["everywhere"]}),
    ),
    (
        "spec.expose.loadBalancer.className",
        _expose("LoadBalancer", loadBalancer={"className": "a b"}),
    ),
    ("spec.expose.ingress.tlsSecretName", _expose("Ingress", ingress={"tlsSecretName": "A"})),
)
