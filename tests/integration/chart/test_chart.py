# SPDX-License-Identifier: Apache-2.0
"""The chart as Helm renders it, with the values that people set."""

import json
import subprocess
from typing import Any

import pytest
import yaml

import chart
from cais_operator import names
from cais_operator.__main__ import _parser, settings_from

LEFT_OUT = "CaisRegistryNotCollected"
_ALL_KINDS = (
    "replicas=2",
    "nodeTrust.enabled=true",
    "monitoring.dashboard.create=true",
    "monitoring.prometheusRule.create=true",
    "monitoring.serviceMonitor.create=true",
    "monitoring.registryServiceMonitor.create=true",
    "networkPolicy.create=true",
    "networkPolicy.metricsFrom[0].podSelector.matchLabels.app=prometheus",
)
pytestmark = pytest.mark.timeout(900)  # the first run on a machine builds Helm


def render(*arguments: str) -> list[dict[str, Any]]:
    documents = yaml.safe_load_all(chart.template(arguments))
    return [document for document in documents if document]


def of_kind(documents: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [document for document in documents if document["kind"] == kind]


def operator_pod(documents: list[dict[str, Any]]) -> dict[str, Any]:
    (deployment,) = of_kind(documents, "Deployment")
    pod: dict[str, Any] = deployment["spec"]["template"]["spec"]
    return pod


def test_install_manifest_is_what_the_chart_renders() -> None:
    assert chart.main(["--check"]) == 0, "run `make manifests`"


def test_stale_file_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    old = tmp_path / "install.yaml"
    old.write_text("kind: Namespace\n")
    monkeypatch.setattr(chart, "INSTALL", old)
    monkeypatch.setattr(chart, "ROOT", tmp_path)
    assert chart.main(["--check"]) == 1


def test_chart_passes_helms_own_lint() -> None:
    command = [str(chart.helm()), "lint", "--strict", "--kube-version", chart.KUBERNETES]
    subprocess.run([*command, str(chart.CHART)], check=True, capture_output=True)


def test_named_namespaces_get_roles_and_nothing_that_is_cluster_wide() -> None:
    only = "rbac.aggregateToDefaultRoles=false,crds.install=false"
    documents = render("--set", f"watchNamespaces={{team-a,team-b}},{only}")
    assert not of_kind(documents, "ClusterRole") + of_kind(documents, "ClusterRoleBinding")
    where = {role["metadata"]["namespace"] for role in of_kind(documents, "Role")}
    assert where == {"team-a", "team-b", "cais-system"}
    bound = {binding["metadata"]["namespace"] for binding in of_kind(documents, "RoleBinding")}
    assert bound == where
    args = operator_pod(documents)["containers"][0]["args"]
    assert [arg for arg in args if arg.startswith("--namespace")] == [
        "--namespace=team-a",
        "--namespace=team-b",
    ]


def test_prefix_goes_before_both_images_and_pull_secrets_reach_both_pods() -> None:
    documents = render("--set", "image.prefix=quay.example.com:5000/x,image.pullSecrets={one,two}")
    pod = operator_pod(documents)
    assert pod["imagePullSecrets"] == [{"name": "one"}, {"name": "two"}]
    (container,) = pod["containers"]
    assert container["image"] == "quay.example.com:5000/x/cais-operator:0.1.0"
    assert "--registry-image=quay.example.com:5000/x/cais-registry:0.1.0" in container["args"]
    assert "--image-pull-secrets=one,two" in container["args"]


def test_second_replica_brings_a_disruption_budget() -> None:
    assert not of_kind(render(), "PodDisruptionBudget")
    (budget,) = of_kind(render("--set", "replicas=2"), "PodDisruptionBudget")
    assert budget["spec"]["minAvailable"] == 1


def test_a_second_replica_goes_to_another_node_where_there_is_one() -> None:
    assert "topologySpreadConstraints" not in operator_pod(render())
    documents = render("--set", "replicas=2")
    (deployment,) = of_kind(documents, "Deployment")
    (spread,) = operator_pod(documents)["topologySpreadConstraints"]
    assert spread["topologyKey"] == "kubernetes.io/hostname"
    assert spread["whenUnsatisfiable"] == "ScheduleAnyway"
    assert spread["labelSelector"] == deployment["spec"]["selector"]


def test_common_labels_are_on_every_object() -> None:
    on = ("podLabels.a=b", *_ALL_KINDS)
    documents = render("--set", ",".join(on), "--set-string", "commonLabels.cost=42")
    kinds = {document["kind"] for document in documents}
    assert {"CustomResourceDefinition", "ConfigMap", "PrometheusRule", "ServiceMonitor"} <= kinds
    assert {"DaemonSet", "PodDisruptionBudget", "ClusterRoleBinding", "Pod"} <= kinds
    assert len(of_kind(documents, "NetworkPolicy")) == 2  # also that of pods on nodes
    for document in documents:
        labels = document["metadata"]["labels"]
        assert labels["cost"] == "42", (document["kind"], document["metadata"]["name"])


def test_the_dashboard_is_a_config_map_that_grafana_finds_where_that_is_asked_for() -> None:
    assert not of_kind(render(), "ConfigMap")
    on = "monitoring.dashboard.create=true,monitoring.dashboard.namespace=grafana"
    folder = "monitoring.dashboard.annotations.grafana_folder=Registries"
    (found,) = of_kind(render("--set", f"{on},{folder}"), "ConfigMap")
    metadata = found["metadata"]
    assert metadata["namespace"] == "grafana"
    assert metadata["labels"]["grafana_dashboard"] == "1"
    assert metadata["annotations"] == {"grafana_folder": "Registries"}
    for side in ("registry", "operator"):
        source = chart.CHART / "files" / "dashboards" / f"{side}.json"
        assert json.loads(found["data"][f"cais-{side}.json"]) == json.loads(source.read_text())


def test_alerts_are_a_prometheus_rule_where_that_is_asked_for() -> None:
    assert not of_kind(render(), "PrometheusRule")
    key = "monitoring.prometheusRule"
    off = f"{key}.disabled={{{LEFT_OUT}}}"
    given = f"{key}.create=true,{key}.namespace=monitoring,{key}.labels.release=prometheus,{off}"
    (found,) = of_kind(render("--set", given), "PrometheusRule")
    assert found["apiVersion"] == "monitoring.coreos.com/v1"
    assert found["metadata"]["namespace"] == "monitoring"
    assert found["metadata"]["labels"]["release"] == "prometheus"
    files = sorted((chart.CHART / "files" / "alerts").glob("*.yaml"))
    every = [group for file in files for group in yaml.safe_load(file.read_text())["groups"]]
    kept = [
        {**group, "rules": [one for one in group["rules"] if one["alert"] != LEFT_OUT]}
        for group in every
    ]
    assert found["spec"] == {"groups": kept}
    assert len(kept[-1]["rules"]) == len(every[-1]["rules"]) - 1


def node_trust(*arguments: str) -> tuple[str, dict[str, Any]]:
    """The DaemonSet's namespace and pod."""
    (found,) = of_kind(render("--set", "nodeTrust.enabled=true", *arguments), "DaemonSet")
    return found["metadata"]["namespace"], found["spec"]["template"]["spec"]


def test_nodes_are_left_alone_unless_that_is_asked_for() -> None:
    documents = render()
    assert not of_kind(documents, "DaemonSet") + of_kind(documents, "ConfigMap")
    args = operator_pod(documents)["containers"][0]["args"]
    assert not [arg for arg in args if "node-trust" in arg]


def test_the_pod_on_a_node_has_no_more_power_than_it_needs() -> None:
    _, pod = node_trust()
    assert pod["automountServiceAccountToken"] is False
    assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
    (container,) = pod["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    on_node = {v["name"]: v["hostPath"] for v in pod["volumes"] if "hostPath" in v}
    assert on_node == {
        "certs": {"path": "/etc/containerd/certs.d", "type": "DirectoryOrCreate"},
        "config": {"path": "/etc/containerd", "type": "Directory"},
    }
    writable = {m["name"] for m in container["volumeMounts"] if not m.get("readOnly")}
    assert writable == {"certs", "state"}
    roles = [one for kind in ("Role", "ClusterRole") for one in of_kind(render(), kind)]
    with_it = render("--set", "nodeTrust.enabled=true")
    assert roles == [one for kind in ("Role", "ClusterRole") for one in of_kind(with_it, kind)]
    (policy,) = of_kind(with_it, "NetworkPolicy")
    assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]
    assert not {"ingress", "egress"} & policy["spec"].keys()
    labels = of_kind(with_it, "DaemonSet")[0]["spec"]["template"]["metadata"]["labels"]
    assert policy["spec"]["podSelector"]["matchLabels"].items() <= labels.items()
    assert labels["app.kubernetes.io/name"] == names.NODE_TRUST


def test_operator_and_pods_on_nodes_mean_the_same_config_map() -> None:
    for arguments, where in (((), "cais-system"), (("--set", "nodeTrust.namespace=x"), "x")):
        namespace, pod = node_trust(*arguments)
        documents = render("--set", "nodeTrust.enabled=true", *arguments)
        (config_map,) = of_kind(documents, "ConfigMap")
        assert config_map["metadata"]["namespace"] == namespace == where
        assert config_map["metadata"]["name"] == names.NODES_CONFIG_MAP
        assert "data" not in config_map  # the operator's alone: Helm must never take it back
        volumes = {volume["name"]: volume for volume in pod["volumes"]}
        assert volumes["nodes"]["configMap"]["name"] == names.NODES_CONFIG_MAP
        args = operator_pod(documents)["containers"][0]["args"]
        found = settings_from(_parser().parse_args(args), {})
        assert found.node_trust == where


def test_the_programs_arguments_are_understood_and_its_paths_are_mounted() -> None:
    for more in ((), ("--set", "nodeTrust.remove=true,nodeTrust.configFile=")):
        _, pod = node_trust(*more)
        (container,) = pod["containers"]
        given = _parser().parse_args(container["args"])
        mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
        assert mounts[str(given.document.parent)] == "nodes"
        assert mounts[str(given.directory)] == "certs"
        assert mounts[str(given.state.parent)] == "state"
        assert given.no_check == (str(given.config.parent) not in mounts) == bool(more)
        assert given.remove == bool(more)
        assert str(given.state) in container["readinessProbe"]["exec"]["command"][-1]


def test_nodes_and_named_namespaces_exclude_each_other() -> None:
    with pytest.raises(subprocess.CalledProcessError) as refused:
        chart.template(["--set", "nodeTrust.enabled=true,watchNamespaces={team-a}"])
    assert "Set one of the two" in refused.value.stderr


def test_crd_stays_out_where_someone_else_installs_it() -> None:
    assert of_kind(render(), "CustomResourceDefinition")
    assert not of_kind(render("--set", "crds.install=false"), "CustomResourceDefinition")


@pytest.mark.parametrize(
    ("setting", "named"),
    [
        ("imag.prefix=x", "imag"),
        ("replicas=two", "replicas"),
        ("image.pullPolicy=Sometimes", "pullPolicy"),
        ("watchNamespaces={Team_A}", "watchNamespaces"),
        ("operator.workers=0", "workers"),
        ("monitoring.dashboard.enabled=true", "enabled"),
        ("monitoring.prometheusRule.disabled={CaisRegistryGone}", "disabled"),
        ("image.operator.tag=a b", "tag"),
        ("nodeTrust.certsDirectory=/usr/bin", "certsDirectory"),
        ("nodeTrust.certsDirectory=/etc/../usr", "certsDirectory"),
        ("nodeTrust.configFile=config.toml", "configFile"),
    ],
)
def test_wrong_value_is_refused_by_name(setting: str, named: str) -> None:
    with pytest.raises(subprocess.CalledProcessError) as refused:
        chart.template(["--set", setting])
    assert named in refused.value.stderr


def test_how_servers_restart_after_an_upgrade_is_handed_on() -> None:
    values = "rollout.maxConcurrent=2,rollout.maxFailed=3,rollout.deadline=90s"
    args = operator_pod(render("--set", values))["containers"][0]["args"]
    found = settings_from(_parser().parse_args(args), {})
    assert (found.rollout_max_concurrent, found.rollout_max_failed) == (2, 3)
    assert found.rollout_deadline.total_seconds() == 90


@pytest.mark.parametrize("value", ["maxConcurrent=0", "maxFailed=0", "deadline=soon", "most=1"])
def test_a_rollout_that_cannot_be_is_refused_by_its_name(value: str) -> None:
    with pytest.raises(subprocess.CalledProcessError) as refused:
        render("--set", f"rollout.{value}")
    assert "rollout" in refused.value.stderr
