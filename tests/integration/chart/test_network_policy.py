# SPDX-License-Identifier: Apache-2.0
"""The operator's NetworkPolicy: what it must reach gets through, and nothing else."""

import ipaddress
import json
import subprocess
from functools import cache
from typing import Any

import pytest
import yaml

import chart
from cais_operator import desired, names
from cais_operator.settings import Settings
from operator_builders import registry

pytestmark = pytest.mark.timeout(900)  # the first run on a machine builds Helm
PROMETHEUS = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}
ON = {"create": True}

Peer = dict[str, Any]  # namespace and labels of a pod, or an address


def rendered(policy: dict[str, Any], **values: Any) -> list[dict[str, Any]]:
    documents = yaml.safe_load_all(template(json.dumps({"networkPolicy": policy, **values})))
    return [document for document in documents if document]


@cache
def template(values: str) -> str:
    """What Helm renders without the definitions, which take long to read."""
    return chart.template(["--set-json", values, "--set", "crds.install=false"])


def made(policy: dict[str, Any], **values: Any) -> dict[str, Any]:
    """The spec of the policy."""
    (found,) = (one for one in rendered(policy, **values) if one["kind"] == "NetworkPolicy")
    spec: dict[str, Any] = found["spec"]
    return spec


def selects(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    """As an API server compares labels; of expressions only those that the chart has."""
    assert {one["operator"] for one in selector.get("matchExpressions", ())} <= {"In"}
    return selector.get("matchLabels", {}).items() <= labels.items() and all(
        labels.get(one["key"]) in one["values"] for one in selector.get("matchExpressions", ())
    )


def is_peer(said: dict[str, Any], peer: Peer) -> bool:
    if "address" in peer or "ipBlock" in said:
        is_address = "address" in peer and "ipBlock" in said
        return is_address and peer["address"] in ipaddress.ip_network(said["ipBlock"]["cidr"])
    place = {"kubernetes.io/metadata.name": peer["namespace"]}
    return selects(said["namespaceSelector"], place) and selects(
        said.get("podSelector", {}), peer["labels"]
    )


def passes(rules: list[dict[str, Any]], side: str, peer: Peer, port: int) -> bool:
    """Whether one of the rules lets TCP through."""
    return any(
        {"port": port, "protocol": "TCP"} in rule["ports"]
        and (side not in rule or any(is_peer(one, peer) for one in rule[side]))
        for rule in rules
    )


def server(namespace: str = "team-a") -> Peer:
    """A pod of a Registry, as the operator makes it."""
    pod = desired.deployment(registry(), Settings())["spec"]["template"]
    return {"namespace": namespace, "labels": pod["metadata"]["labels"]}


def address(text: str) -> Peer:
    return {"address": ipaddress.ip_address(text)}


def test_there_is_none_unless_that_is_asked_for() -> None:
    kinds = {document["kind"] for document in rendered({})}
    assert "Deployment" in kinds
    assert "NetworkPolicy" not in kinds


def test_it_is_of_the_operators_pods_alone_and_denies_both_ways() -> None:
    documents = rendered(ON)
    spec = made(ON)
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    for document in documents:
        labels = document.get("spec", {}).get("template", document).get("metadata", {})["labels"]
        is_its_pod = document["kind"] == "Deployment"
        if is_its_pod or document["kind"] == "Pod":
            assert selects(spec["podSelector"], labels) is is_its_pod
    assert not selects(spec["podSelector"], server()["labels"])


def test_it_reaches_servers_of_registries_and_no_other_pod() -> None:
    egress = made(ON)["egress"]
    assert passes(egress, "to", server(), names.PORT)
    assert not passes(egress, "to", server(), 22)
    assert not passes(egress, "to", server() | {"labels": {"app": "other"}}, names.PORT)
    named = made(ON, watchNamespaces=["team-a", "team-b"])["egress"]
    assert passes(named, "to", server("team-b"), names.PORT)
    assert not passes(named, "to", server("team-c"), names.PORT)


def test_it_reaches_the_api_server_at_the_ports_and_networks_that_are_named() -> None:
    egress = made(ON)["egress"]
    assert passes(egress, "to", address("203.0.113.9"), 6443)
    assert passes(egress, "to", address("203.0.113.9"), 443)
    assert not passes(egress, "to", address("203.0.113.9"), 8443)
    named = {"ports": [8443], "addresses": ["192.0.2.0/24", "2001:db8::/64"]}
    egress = made(ON | {"apiServer": named})["egress"]
    assert passes(egress, "to", address("192.0.2.7"), 8443)
    assert passes(egress, "to", address("2001:db8::1"), 8443)
    assert not passes(egress, "to", address("203.0.113.9"), 8443)
    assert not passes(egress, "to", address("192.0.2.7"), 443)


@pytest.mark.parametrize(
    ("url", "port"),
    [
        ("http://proxy.example.com:3128", 3128),
        ("http://proxy.example.com/", 80),
        ("https://[2001:db8::1]", 443),
    ],
)
def test_it_reaches_the_proxy_where_there_is_one(url: str, port: int) -> None:
    named = ON | {"apiServer": {"ports": [6443]}}
    assert not passes(made(named)["egress"], "to", address("203.0.113.9"), port)
    proxied = made(named, proxy={"httpsProxy": url})["egress"]
    assert passes(proxied, "to", address("203.0.113.9"), port)


def test_it_may_ask_for_names() -> None:
    ports = [port for rule in made(ON)["egress"] if "to" not in rule for port in rule["ports"]]
    for protocol in ("UDP", "TCP"):
        assert {"port": 53, "protocol": protocol} in ports


def test_metrics_are_for_those_who_are_named() -> None:
    assert "ingress" not in made(ON)
    documents = rendered(ON | {"metricsFrom": [PROMETHEUS]})
    (deployment,) = (one for one in documents if one["kind"] == "Deployment")
    (port,) = deployment["spec"]["template"]["spec"]["containers"][0]["ports"]
    (policy,) = (one for one in documents if one["kind"] == "NetworkPolicy")
    ingress = policy["spec"]["ingress"]
    prometheus = {"namespace": "monitoring", "labels": {}}
    assert passes(ingress, "from", prometheus, port["containerPort"])
    assert not passes(ingress, "from", prometheus | {"namespace": "x"}, port["containerPort"])


def test_a_service_monitor_that_would_not_get_through_is_refused() -> None:
    asked = {"serviceMonitor": {"create": True}}
    with pytest.raises(subprocess.CalledProcessError) as refused:
        rendered(ON, monitoring=asked)
    assert "needs networkPolicy.metricsFrom" in refused.value.stderr
    assert made(ON | {"metricsFrom": [PROMETHEUS]}, monitoring=asked)


@pytest.mark.parametrize(
    ("policy", "named"),
    [
        ({"apiServer": {"ports": []}}, "ports"),
        ({"apiServer": {"addresses": ["192.0.2.1"]}}, "addresses"),
        ({"metricsFrom": [{}]}, "metricsFrom"),
        ({"metricsFrom": [{"namespace": "monitoring"}]}, "namespace"),
        ({"metricsFrom": [{"podSelector": {"app": "prometheus"}}]}, "podSelector"),
    ],
)
def test_a_wrong_value_is_refused_by_name(policy: dict[str, Any], named: str) -> None:
    with pytest.raises(subprocess.CalledProcessError) as refused:
        rendered(ON | policy)
    assert named in refused.value.stderr
