# SPDX-License-Identifier: Apache-2.0
"""The ways from outside: a load balancer, an Ingress, a Gateway."""

import json
from typing import Any

import pytest

from cais_operator import errors
from cais_operator.certificates import facts
from support.issuing import issued, issuer, key_pem, new_key, tls_data
from support.operator_bench import EVERYTHING, KEY, Bench, bench, children
from support.tls_bench import bring, respec, words

pytestmark = pytest.mark.usefixtures("cheap_hashes")

HOST = "registry.example.com"
BALANCED: dict[str, Any] = {"expose": {"type": "LoadBalancer"}}
INGRESS: dict[str, Any] = {"expose": {"type": "Ingress", "hostnames": [HOST]}}
PARENTS = {"parentRefs": [{"name": "edge", "namespace": "gateways"}]}
GATEWAY: dict[str, Any] = {"expose": {"type": "Gateway", "hostnames": [HOST], "gateway": PARENTS}}
ROUTES = {("HTTPRoute", "team"), ("BackendTLSPolicy", "team")}


def of_kind(made: Bench, kind: str, name: str = "team") -> dict[str, Any]:
    found: dict[str, Any] = made.cluster.objects[kind, "team-a", name]
    return found


def listen(made: Bench, *addresses: dict[str, str]) -> None:
    """What a load balancer's controller writes."""
    made.cluster.change("Service", "team", status={"loadBalancer": {"ingress": [*addresses]}})


def certified(made: Bench) -> frozenset[str]:
    said = facts(made.text("team-tls", "tls.crt"))
    return said.dns | said.ips


def accept(made: Bench, status: str, message: str = "") -> None:
    """What a Gateway's controller writes."""
    condition = {"type": "Accepted", "status": status, "message": message}
    parent = {"parentRef": {"name": "edge"}, "conditions": [condition]}
    made.cluster.change("HTTPRoute", "team", status={"parents": [parent]})


@pytest.mark.parametrize("spec", [BALANCED, INGRESS, GATEWAY], ids=["lb", "ingress", "gateway"])
async def test_a_look_at_what_is_settled_writes_nothing(spec: dict[str, Any]) -> None:
    made = bench(spec)
    await made.settle()
    made.cluster.requests.clear()
    await made.operator().reconcile(KEY)
    assert made.cluster.writes == []


async def test_a_load_balancers_address_is_waited_for_and_gets_into_certificate_and_status() -> (
    None
):
    made = bench(BALANCED)
    await made.settle()
    await made.serve()
    assert of_kind(made, "Service")["spec"]["type"] == "LoadBalancer"
    assert words(made, "Exposed") == ("False", "AddressPending")
    assert words(made, "Ready") == ("False", "AddressPending")
    assert made.condition("Reconciling")
    assert made.status()["endpoints"] == {
        "push": "team.team-a.svc:5000",
        "pull": "team.team-a.svc:5000",
    }
    listen(made, {"ip": "203.0.113.7"}, {"hostname": "lb.example.com"})
    await made.settle()
    await made.serve()
    assert certified(made) >= {"203.0.113.7", "lb.example.com", "10.96.0.7", "team.team-a.svc"}
    assert made.status()["url"] == "https://lb.example.com:5000"
    assert made.status()["endpoints"]["push"] == "lb.example.com:5000"
    assert made.status()["endpoints"]["pull"] == "team.team-a.svc:5000"
    assert "203.0.113.7:5000" in made.text("team-pull", ".dockerconfigjson")
    assert words(made, "Ready") == ("True", "Serving")


async def test_a_host_name_is_shown_in_place_of_the_load_balancers_address() -> None:
    made = bench({"expose": {"type": "LoadBalancer", "hostnames": [HOST]}})
    await made.settle()
    listen(made, {"ip": "2001:db8::7"})
    await made.settle()
    assert made.status()["endpoints"]["push"] == f"{HOST}:5000"
    respec(made, BALANCED)
    await made.settle()
    assert made.status()["endpoints"]["push"] == "[2001:db8::7]:5000"


async def test_an_ingress_routes_two_paths_of_every_host_name_and_no_more() -> None:
    hosts = [HOST, "images.example.com"]
    made = bench({"expose": {"type": "Ingress", "hostnames": hosts}})
    await made.settle()
    spec = of_kind(made, "Ingress")["spec"]
    assert [rule["host"] for rule in spec["rules"]] == hosts
    for rule in spec["rules"]:
        paths = rule["http"]["paths"]
        assert [(one["path"], one["pathType"]) for one in paths] == [
            ("/v2/", "Prefix"),
            ("/token", "Exact"),
        ]
    assert spec["tls"] == [{"hosts": hosts, "secretName": "team-tls"}]
    assert certified(made) >= set(hosts)
    assert of_kind(made, "Service")["spec"]["type"] == "ClusterIP"


async def test_an_ingress_passes_large_and_slow_bodies_on_over_tls() -> None:
    made = bench(INGRESS)
    await made.settle()
    annotations = of_kind(made, "Ingress")["metadata"]["annotations"]
    nginx = "nginx.ingress.kubernetes.io"
    assert annotations[f"{nginx}/proxy-body-size"] == "0"
    assert annotations[f"{nginx}/proxy-request-buffering"] == "off"
    assert int(annotations[f"{nginx}/proxy-read-timeout"]) >= 600
    assert annotations[f"{nginx}/backend-protocol"] == "HTTPS"
    assert annotations["nginx.org/ssl-services"] == "team"
    assert annotations["haproxy.org/server-ssl"] == "true"
    service = of_kind(made, "Service")["metadata"]["annotations"]
    assert service == {"traefik.ingress.kubernetes.io/service.serversscheme": "https"}


async def test_an_ingress_without_tls_serves_none_unless_it_has_a_certificate() -> None:
    made = bench({**INGRESS, "tls": {"disabled": {}}})
    await made.settle()
    assert "tls" not in of_kind(made, "Ingress")["spec"]
    annotations = of_kind(made, "Ingress")["metadata"]["annotations"]
    assert annotations["nginx.ingress.kubernetes.io/backend-protocol"] == "HTTP"
    assert "haproxy.org/server-ssl" not in annotations
    assert made.status()["url"] == f"http://{HOST}"
    edge = {**INGRESS["expose"], "ingress": {"tlsSecretName": "edge"}}
    respec(made, {"expose": edge, "tls": {"disabled": {}}})
    await made.settle()
    assert of_kind(made, "Ingress")["spec"]["tls"][0]["secretName"] == "edge"
    assert made.status()["url"] == f"https://{HOST}"
    config = json.loads(of_kind(made, "ConfigMap", "team-config")["data"]["server.yaml"])
    assert config["tokens"]["realms"][HOST] == f"https://{HOST}/token"
    inside = "team.team-a.svc:5000"
    assert config["tokens"]["realms"][inside] == f"http://{inside}/token"


async def test_ones_own_annotations_win() -> None:
    mine = {"nginx.ingress.kubernetes.io/proxy-body-size": "9g", "example.com/a": "b"}
    made = bench({"expose": {**INGRESS["expose"], "ingress": {"annotations": mine}}})
    await made.settle()
    assert of_kind(made, "Ingress")["metadata"]["annotations"].items() >= mine.items()


async def test_the_status_says_where_to_push_through_an_ingress() -> None:
    made = bench(INGRESS)
    await made.settle()
    await made.serve()
    assert made.status()["url"] == f"https://{HOST}"
    assert made.status()["endpoints"] == {
        "push": HOST,
        "pull": "team.team-a.svc:5000",
        "route": "Ingress/team",
    }
    assert words(made, "Exposed") == ("True", "Routed")
    assert words(made, "Ready") == ("True", "Serving")


async def test_a_gateway_is_waited_for_and_its_words_are_told() -> None:
    made = bench(GATEWAY)
    outcome = await made.operator().reconcile(KEY)
    assert outcome.kinds == ("HTTPRoute", "BackendTLSPolicy")
    await made.settle()
    await made.serve()
    assert words(made, "Ready") == ("False", "RouteNotAccepted")
    accept(made, "False", "no listener takes this host name")
    await made.settle()
    assert "no listener takes" in made.condition("Exposed")["message"]
    accept(made, "True")
    await made.settle()
    await made.serve()
    assert words(made, "Ready") == ("True", "Serving")
    assert made.status()["endpoints"]["route"] == "HTTPRoute/team"


async def test_a_gateway_routes_two_paths_and_verifies_the_registry() -> None:
    made = bench(GATEWAY)
    await made.settle()
    spec = of_kind(made, "HTTPRoute")["spec"]
    (rule,) = spec["rules"]
    assert [match["path"]["value"] for match in rule["matches"]] == ["/v2/", "/token"]
    assert rule["backendRefs"] == [{"name": "team", "port": 5000}]
    assert spec["parentRefs"] == [{"name": "edge", "namespace": "gateways"}]
    assert of_kind(made, "BackendTLSPolicy")["spec"]["validation"] == {
        "hostname": "team.team-a.svc",
        "caCertificateRefs": [{"group": "", "kind": "ConfigMap", "name": "team-ca"}],
    }


async def test_a_gateway_believes_the_systems_authorities_where_none_is_published() -> None:
    made = bench({**GATEWAY, "tls": {"secretRef": {"name": "own"}}})
    key, below = new_key(), issuer().intermediate()
    bring(made, tls_data(below.sign(key, HOST) + below.chain, key_pem(key)))
    await made.settle()
    assert of_kind(made, "BackendTLSPolicy")["spec"]["validation"] == {
        "hostname": HOST,
        "wellKnownCACertificates": "System",
    }
    bring(made, issued(issuer(), HOST))
    await made.settle()
    assert "caCertificateRefs" in of_kind(made, "BackendTLSPolicy")["spec"]["validation"]


async def test_a_gateway_speaks_plain_http_to_a_registry_without_tls() -> None:
    made = bench(GATEWAY)
    await made.settle()
    respec(made, {**GATEWAY, "tls": {"disabled": {}}})
    await made.settle()
    assert ("HTTPRoute", "team") in children(made)
    assert ("BackendTLSPolicy", "team") not in children(made)


async def test_what_another_type_made_is_taken_back() -> None:
    made = bench(GATEWAY)
    await made.settle()
    assert children(made) == EVERYTHING | ROUTES
    respec(made, INGRESS)
    await made.settle()
    assert children(made) == EVERYTHING | {("Ingress", "team")}
    respec(made, BALANCED)
    await made.settle()
    assert children(made) == EVERYTHING
    assert "route" not in made.status()["endpoints"]
    respec(made, {})
    await made.settle()
    assert of_kind(made, "Service")["spec"]["type"] == "ClusterIP"
    assert not made.condition("Exposed")


@pytest.mark.parametrize(
    ("spec", "failure", "reason", "stalls"),
    [
        (GATEWAY, errors.NotFound("404 page not found"), "GatewayMissing", True),
        (INGRESS, errors.ApiUnavailable("500: failed calling webhook"), "ExposureRefused", False),
        (
            INGRESS,
            errors.Rejected(status=403, reason="Forbidden", message="not that host", subject="x"),
            "ExposureRefused",
            True,
        ),
    ],
)
async def test_what_cannot_be_exposed_stops_nothing_else(
    spec: dict[str, Any], failure: errors.CaisError, reason: str, *, stalls: bool
) -> None:
    made = bench(spec)

    def refuse(verb: str, kind: str, _: str) -> None:
        if verb == "apply" and kind in ("Ingress", "HTTPRoute"):
            raise failure

    made.cluster.before = refuse
    await made.settle()
    await made.serve()
    assert children(made) == EVERYTHING
    assert words(made, "Exposed") == ("False", reason)
    assert words(made, "Ready") == ("False", reason)
    assert bool(made.condition("Stalled")) == stalls
    made.cluster.before = lambda *_: None
    await made.settle()
    assert made.condition("Exposed")["reason"] != reason


async def test_a_stranger_of_the_routes_name_is_left_alone() -> None:
    made = bench(INGRESS)
    made.cluster.put({"kind": "Ingress", "metadata": {"name": "team"}, "spec": {"rules": []}})
    await made.settle()
    assert "Ingress team exists" in made.condition("Stalled")["message"]
    assert of_kind(made, "Ingress")["spec"] == {"rules": []}
