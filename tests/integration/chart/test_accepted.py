# SPDX-License-Identifier: Apache-2.0
"""What the chart renders, as a real API server takes it: strictly, with every default and check."""

import re
import subprocess
import sys
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml

import chart
from cais_operator import desired, names
from cais_operator.settings import Settings
from operator_builders import registry
from support.apiserver import ApiServer
from support.chart_values import DIGEST, FORMS, NAMED, NODES, VALUES, paired
from support.prometheus_kinds import define
from support.registry import htpasswd, make_certificate, running

FILLED = ("resources", "labels")  # by people, whatever is in them
pytestmark = pytest.mark.timeout(900)  # the first run on a machine builds programs
SCRIPT = chart.CHART / "files" / "tests" / "push_and_pull.py"
NAMESPACES = ("cais-system", "team-a", "team-b", "x")


@pytest.fixture(scope="module")
def ready(api: ApiServer) -> ApiServer:
    """With the namespaces, and with the kinds of the Prometheus operator by name."""
    for name in NAMESPACES:
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        api.apply(f"/api/v1/namespaces/{name}", body)
    define(api)
    return api


def path_of(found: dict[str, Any]) -> str:
    kind, metadata = found["kind"].lower(), found["metadata"]
    plural = f"{kind[:-1]}ies" if kind.endswith(("cy", "ry")) else f"{kind}s"
    root = "/api/v1" if found["apiVersion"] == "v1" else f"/apis/{found['apiVersion']}"
    place = f"/namespaces/{metadata['namespace']}" if "namespace" in metadata else ""
    return f"{root}{place}/{plural}/{metadata['name']}"


def rendered(*values: str) -> Iterator[dict[str, Any]]:
    arguments = [word for one in values for word in ("--set", one)]
    for document in yaml.safe_load_all(chart.template(arguments)):
        if document and document["kind"] != "CustomResourceDefinition":  # served here already
            yield document


def tried(ready: ApiServer, found: dict[str, Any]) -> None:
    query = "?dryRun=All&fieldManager=helm&force=true&fieldValidation=Strict"
    ready.request("PATCH", path_of(found) + query, found, "application/apply-patch+yaml")


@pytest.mark.parametrize("values", FORMS, ids=map(str, range(len(FORMS))))
def test_the_api_server_takes_every_object(ready: ApiServer, values: list[str]) -> None:
    kinds = set()
    for document in rendered(*values):
        tried(ready, document)
        kinds.add(document["kind"])
    assert {"Deployment", "Registry", "Pod"} <= kinds


def test_each_two_values_are_set_together_and_without_each_other() -> None:
    for choices in (VALUES, VALUES | NODES):
        rows = paired(choices)
        for one, other in combinations(choices, 2):
            assert len({(one in row, other in row) for row in rows}) == 4, (one, other)


def test_every_value_of_the_chart_is_among_them() -> None:
    settings = [value for group in (VALUES | NODES | {"": NAMED}).values() for value in group]
    tried = {path for one in settings for path in re.findall(r"(?:^|,)([A-Za-z.]+)", one)}
    defaults = yaml.safe_load((chart.CHART / "values.yaml").read_text())
    for leaf in _leaves(defaults):
        assert any(f"{path}.".startswith(f"{leaf}.") for path in tried), leaf


def _leaves(values: dict[str, Any], path: str = "") -> Iterator[str]:
    """Paths of all values; a mapping that people fill has one."""
    for name, value in values.items():
        if isinstance(value, dict) and value and name not in FILLED:
            yield from _leaves(value, f"{path}{name}.")
        else:
            yield f"{path}{name}"


def test_an_object_that_is_wrong_is_refused(ready: ApiServer) -> None:
    (pod,) = (one for one in rendered() if one["kind"] == "Pod")
    pod["spec"]["restartPolice"] = "Never"
    with pytest.raises(OSError, match=r"HTTP Error (400|422|500)"):
        tried(ready, pod)


def test_a_digest_takes_the_place_of_the_tag_in_every_pod() -> None:
    documents = list(rendered(*VALUES["digests"], "image.prefix=q.example.com"))
    deployment = next(one for one in documents if one["kind"] == "Deployment")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert container["image"] == f"q.example.com/cais-operator@{DIGEST}"
    assert f"--registry-image=q.example.com/cais-registry@{DIGEST}" in container["args"]
    pod = next(one for one in documents if one["kind"] == "Pod")
    assert pod["spec"]["containers"][0]["image"] == f"q.example.com/cais-registry@{DIGEST}"


def test_addresses_and_proxy_reach_the_operator() -> None:
    documents = list(rendered(*VALUES["IPv6"], *VALUES["proxy"], *VALUES["domain"]))
    deployment = next(one for one in documents if one["kind"] == "Deployment")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    for wanted in (
        "--health-listen=[::]:8080",
        "--registry-listen=::",
        "--ip-family-policy=PreferDualStack",
        "--cluster-domain=corp.example",
    ):
        assert wanted in container["args"]
    variables = {one["name"]: one.get("value") for one in container["env"]}
    assert variables["HTTPS_PROXY"] == "http://p:3128"
    assert variables["NO_PROXY"] == "10.96.0.1,.svc"


def test_prometheus_finds_the_operators_port() -> None:
    documents = list(rendered(*VALUES["monitoring"]))
    found = {one["kind"]: one for one in documents}
    monitor, service = found["ServiceMonitor"], found["Service"]
    labels = service["metadata"]["labels"]
    assert monitor["spec"]["selector"]["matchLabels"].items() <= labels.items()
    assert monitor["spec"]["namespaceSelector"] == {"matchNames": ["cais-system"]}
    (port,) = service["spec"]["ports"]
    assert monitor["spec"]["endpoints"][0]["port"] == port["name"]
    pod = found["Deployment"]["spec"]["template"]
    assert service["spec"]["selector"].items() <= pod["metadata"]["labels"].items()
    names = [one["name"] for one in pod["spec"]["containers"][0]["ports"]]
    assert port["targetPort"] in names


def _registries(*values: str) -> dict[str, Any]:
    """The ServiceMonitor of the Registries."""
    found = rendered("monitoring.registryServiceMonitor.create=true", *values)
    (monitor,) = (one for one in found if one["kind"] == "ServiceMonitor")
    return monitor


def test_prometheus_asks_every_registry_by_a_name_that_its_certificate_has() -> None:
    monitor = _registries()
    service = desired.service(registry(), Settings())
    metadata = service["metadata"]
    assert monitor["spec"]["selector"]["matchLabels"].items() <= metadata["labels"].items()
    (endpoint,), (port,) = monitor["spec"]["endpoints"], service["spec"]["ports"]
    assert (endpoint["port"], endpoint["scheme"]) == (port["name"], "https")
    address, instance, dropped = endpoint["relabelings"]
    assert address["sourceLabels"] == [
        f"__meta_kubernetes_{one}" for one in ("service_name", "namespace")
    ]
    target = re.sub(
        address["regex"],
        address["replacement"].replace("$", "\\"),
        f"{metadata['name']};{metadata['namespace']}",
    )
    assert target == f"{names.inside(registry())}:{names.PORT}"
    assert instance == {"sourceLabels": ["__address__"], "targetLabel": "instance"}
    assert dropped == {"action": "labeldrop", "regex": "pod|container"}


def test_prometheus_believes_the_ca_of_the_installation() -> None:
    monitor = _registries()
    secret = monitor["spec"]["endpoints"][0]["tlsConfig"]["ca"]["secret"]
    assert secret == {"name": names.AUTHORITY_SECRET, "key": "ca.crt"}
    assert monitor["metadata"]["namespace"] == "cais-system"  # a reference goes no further


def test_prometheus_asks_in_the_namespaces_that_the_operator_looks_after() -> None:
    assert _registries()["spec"]["namespaceSelector"] == {"any": True}
    named = _registries("watchNamespaces={team-a,team-b}")
    assert named["spec"]["namespaceSelector"] == {"matchNames": ["team-a", "team-b"]}


@pytest.mark.parametrize(
    ("setting", "named"),
    [
        ("image.operator.digest=sha256:abc", "digest"),
        ("network.listen=127.0.0.1", "listen"),
        ("network.ipFamilyPolicy=Both", "ipFamilyPolicy"),
        ("proxy.httpsProxy=proxy:3128", "httpsProxy"),
        ("monitoring.serviceMonitor.interval=often", "interval"),
        ("monitoring.registryServiceMonitor.interval=often", "interval"),
        ("monitoring.registryServiceMonitor.namespace=x", "namespace"),
        ("tolerations[0].opertor=Exists", "opertor"),
        ("affinity.nodeAffinty.a=b", "nodeAffinty"),
        ("test.volumeSize=much", "volumeSize"),
    ],
)
def test_a_wrong_value_is_refused_by_name(setting: str, named: str) -> None:
    with pytest.raises(subprocess.CalledProcessError) as refused:
        chart.template(["--set", setting])
    assert named in refused.value.stderr


def test_helm_tests_pod_pushes_to_a_registry_and_pulls_what_it_pushed(tmp_path: Path) -> None:
    cert, key = make_certificate(tmp_path)
    (tmp_path / "users").write_text(htpasswd(admin="pw"))
    (tmp_path / "username").write_text("admin")
    (tmp_path / "password").write_text("pw")
    rules = [{"users": ["admin"], "repositories": ["**"], "actions": ["pull", "push", "delete"]}]
    config = {"auth": {"htpasswdFile": str(tmp_path / "users")}, "access": {"rules": rules}}
    pod = next(one for one in rendered() if one["kind"] == "Pod")
    (container,) = pod["spec"]["containers"]
    program, address, login, authority = container["args"]
    assert (container["command"], address) == (["python3", "-c"], "cais-test.cais-system.svc:5000")
    assert [login, authority] == ["/login", "/authority/ca.crt"]
    options = ("--tls-cert", cert, "--tls-key", key)
    with running(tmp_path, *options, config=config, login="admin:pw") as server:
        port = server.address[1]
        words = [f"localhost:{port}", str(tmp_path), str(cert)]
        done = subprocess.run(
            [sys.executable, "-c", program, *words], text=True, capture_output=True, check=False
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "and pulled from there: sha256:" in done.stdout
    short = program.replace("DEADLINE = 240.0", "DEADLINE = 0.0")
    gone = subprocess.run(
        [sys.executable, "-c", short, *words], text=True, capture_output=True, check=False
    )
    assert gone.returncode == 1
    assert "FAILED: no push and pull" in gone.stdout
