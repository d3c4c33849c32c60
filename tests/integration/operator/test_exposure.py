# SPDX-License-Identifier: Apache-2.0
"""The real operator and a real API server; what controllers would write is played."""

import urllib.error
from pathlib import Path
from typing import Any

import pytest
import yaml

import golden
from cais_operator.certificates import facts
from support.apiserver import wait_for
from support.definitions import served
from support.foreign_kinds import BACKEND_TLS_POLICY, HTTP_ROUTE
from support.operators import Place, operator

HOST = "registry.example.com"
PARENTS = {"parentRefs": [{"name": "edge", "namespace": "gateways"}]}


def find(place: Place, kind: str, name: str = "team") -> dict[str, Any] | None:
    return place.get(kind, name)


def expose(place: Place, kind: str, **more: Any) -> None:
    body: dict[str, Any] = {"apiVersion": "cais.dev/v1alpha1", "kind": "Registry"}
    body |= {"spec": {"expose": {"type": kind, **more}}}
    body |= {"metadata": {"name": "team", "namespace": place.team}}
    place.api.apply(place.path("Registry", "team"), body)


def endpoints(place: Place) -> dict[str, str]:
    status = (place.get("Registry", "team") or {}).get("status") or {}
    found: dict[str, str] = status.get("endpoints") or {}
    return found


def wait_exposed(place: Place, reason: str) -> dict[str, Any]:
    wait_for(lambda: place.condition("Exposed").get("reason") == reason, f"Exposed says {reason}")
    return place.condition("Exposed")


def certified(place: Place) -> frozenset[str]:
    said = facts(place.secret("team-tls", "tls.crt"))
    return said.dns | said.ips


def test_a_load_balancers_address_gets_into_the_certificate_and_the_status(
    place: Place, tmp_path: Path
) -> None:
    with operator(place, tmp_path):
        expose(
            place,
            "LoadBalancer",
            loadBalancer={"className": "example.com/lb", "sourceRanges": ["10.0.0.0/8"]},
        )
        place.wait_complete()
        wait_exposed(place, "AddressPending")
        status = {"loadBalancer": {"ingress": [{"ip": "203.0.113.7"}]}}
        place.api.merge(place.path("Service", "team") + "/status", {"status": status})
        wait_exposed(place, "Balanced")
        wait_for(lambda: "203.0.113.7" in certified(place), "the address is in the certificate")
        wait_for(lambda: endpoints(place).get("push") == "203.0.113.7:5000", "the address is told")
        place.wait_looked_again(2)
        writes = place.writes()
        place.wait_looked_again(2)
        assert place.writes() == writes
        expose(place, "ClusterIP")
        wait_for(lambda: "203.0.113.7" not in certified(place), "the address is gone")
        service = place.get("Service", "team")
        assert service is not None
        assert service["spec"]["type"] == "ClusterIP"


def test_an_ingress_comes_is_repaired_and_goes(place: Place, tmp_path: Path) -> None:
    with operator(place, tmp_path):
        expose(place, "Ingress", hostnames=[HOST], ingress={"className": "nginx"})
        wait_exposed(place, "Routed")
        place.wait_complete()
        found = find(place, "Ingress")
        assert found is not None
        assert endpoints(place)["push"] == HOST
        path = place.path("Ingress", "team")
        place.api.merge(path, {"spec": {"ingressClassName": "other"}})
        wait_for(
            lambda: (find(place, "Ingress") or found)["spec"]["ingressClassName"] == "nginx",
            "the edit is undone",
        )
        place.api.request("DELETE", path)
        wait_for(lambda: find(place, "Ingress"), "it is back")
        place.wait_looked_again(2)
        writes = place.writes()
        place.wait_looked_again(2)
        assert place.writes() == writes
        expose(place, "NodePort")
        wait_for(lambda: find(place, "Ingress") is None, "it is taken back")


def test_a_gateway_is_waited_for_installed_and_accepted(place: Place, tmp_path: Path) -> None:
    with operator(place, tmp_path) as running:
        expose(place, "Gateway", hostnames=[HOST], gateway=PARENTS)
        wait_exposed(place, "GatewayMissing")
        with served(place.api, HTTP_ROUTE), served(place.api, BACKEND_TLS_POLICY):
            wait_for(lambda: find(place, "BackendTLSPolicy"), "the policy")
            wait_exposed(place, "RouteNotAccepted")
            accepted = {"type": "Accepted", "status": "True"}
            parent = {"parentRef": {"name": "edge"}, "conditions": [accepted]}
            route = place.path("HTTPRoute", "team")
            place.api.merge(f"{route}/status", {"status": {"parents": [parent]}})
            wait_exposed(place, "Routed")
            place.api.request("DELETE", route)
            wait_for(lambda: find(place, "HTTPRoute"), "it is back")
            expose(place, "ClusterIP")
            wait_for(
                lambda: not find(place, "HTTPRoute") and not find(place, "BackendTLSPolicy"),
                "both are taken back",
            )
        assert running.process.poll() is None


def test_an_api_server_refuses_what_is_misspelt(place: Place) -> None:
    with served(place.api, HTTP_ROUTE):
        manifests = golden.manifests(golden.CASES / "gateway")
        route = next(one for one in manifests if one["kind"] == "HTTPRoute")
        route["metadata"] |= {"namespace": place.team}
        route["spec"]["hostname"] = route["spec"].pop("hostnames")
        with pytest.raises(urllib.error.HTTPError):
            place.api.apply(place.path("HTTPRoute", "team"), route)


def test_the_samples_are_taken(place: Place) -> None:
    samples = (golden.CASES.parents[1] / "manifests/samples/exposure.yaml").read_text()
    for one in yaml.safe_load_all(samples):
        one["metadata"]["namespace"] = place.team
        path = place.path("Registry", one["metadata"]["name"])
        assert place.api.apply(path, one)["spec"]["expose"]["type"]
