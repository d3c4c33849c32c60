# SPDX-License-Identifier: Apache-2.0
from typing import Any

import pytest

from cais_operator import desired, names
from cais_operator.certificates import Authority, Leaf
from cais_operator.settings import Settings
from operator_builders import SETTINGS, WAY, registry

CA = Authority(certificate="CA", key="CA-KEY", bundle="CA\nOLD-CA\n")
LEAF = Leaf(certificate="LEAF", key="LEAF-KEY")
RULE = {"users": ["ci"], "repositories": ["apps/**"], "actions": ["pull", "push"]}


def _pod(spec: dict[str, Any] | None = None, settings: Settings = SETTINGS) -> dict[str, Any]:
    found: dict[str, Any] = desired.deployment(registry(spec), settings)["spec"]["template"]
    return found


def _container(spec: dict[str, Any] | None = None) -> dict[str, Any]:
    found: dict[str, Any] = _pod(spec)["spec"]["containers"][0]
    return found


def _job(spec: dict[str, Any] | None = None) -> dict[str, Any]:
    found: dict[str, Any] = desired.cron_job(registry(spec), SETTINGS, WAY)["spec"]
    return found


@pytest.mark.parametrize("pod", [_pod(), _job()["jobTemplate"]["spec"]["template"]])
def test_pods_meet_the_restricted_profile_and_have_no_token(pod: dict[str, Any]) -> None:
    spec = pod["spec"]
    container = spec["containers"][0]
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 65532,
        "runAsGroup": 65532,
        "fsGroup": 65532,
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert "env" not in container
    assert not any("hostPath" in volume for volume in spec["volumes"])


def test_no_secret_is_an_argument() -> None:
    assert _container()["args"] == ["serve", "--config", "/etc/cais/config/server.yaml"]
    job = _job()["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]
    assert job["args"] == [
        "gc",
        "--wait",
        "--server",
        "https://team.team-a.svc:5000",
        "--ca-file",
        "/etc/cais/ca/ca.crt",
        "--credentials-file",
        "/etc/cais/gc/credentials",
        "--report-file",
        "/dev/termination-log",
    ]


def test_live_files_are_mounted_as_folders_or_they_would_never_change() -> None:
    for spec in (_pod()["spec"], _job()["jobTemplate"]["spec"]["template"]["spec"]):
        for mount in spec["containers"][0]["volumeMounts"]:
            assert "subPath" not in mount


def test_only_htpasswd_and_credentials_are_mounted_from_their_secrets() -> None:
    volumes = {one["name"]: one for one in _pod()["spec"]["volumes"]}
    assert [item["key"] for item in volumes["users"]["secret"]["items"]] == ["htpasswd"]
    assert [item["key"] for item in volumes["tokens"]["secret"]["items"]] == ["keys"]
    job = _job()["jobTemplate"]["spec"]["template"]["spec"]["volumes"]
    assert [item["key"] for item in job[1]["secret"]["items"]] == ["credentials"]


def test_one_server_at_a_time_holds_the_volume() -> None:
    spec = desired.deployment(registry(), SETTINGS)["spec"]
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})


def test_selectors_never_hold_what_a_user_wrote() -> None:
    team = registry({"pod": {"labels": {"team": "a", "app.kubernetes.io/instance": "evil"}}})
    spec = desired.deployment(team, SETTINGS)["spec"]
    assert spec["selector"]["matchLabels"] == names.selector(team, "registry")
    assert spec["template"]["metadata"]["labels"]["team"] == "a"
    assert spec["template"]["metadata"]["labels"]["app.kubernetes.io/instance"] == "team"


def test_the_server_may_reach_nobody_and_garbage_collection_only_the_server() -> None:
    server = desired.network_policy(registry(), SETTINGS)["spec"]
    assert server["policyTypes"] == ["Ingress", "Egress"]
    assert server["ingress"] == [{"ports": [{"port": 5000, "protocol": "TCP"}]}]
    assert "egress" not in server
    collection = desired.gc_network_policy(registry(), SETTINGS)["spec"]
    assert collection["policyTypes"] == ["Ingress", "Egress"]
    assert "ingress" not in collection
    assert {port["port"] for port in collection["egress"][0]["ports"]} == {53, 5353}
    assert collection["egress"][1]["to"] == [
        {"podSelector": {"matchLabels": names.selector(registry(), "registry")}}
    ]


@pytest.mark.parametrize(
    ("asked", "requests", "limits"),
    [
        ({}, {"cpu": "50m", "memory": "64Mi"}, {"memory": "256Mi"}),
        (
            {"limits": {"memory": "32Mi"}},
            {"cpu": "50m", "memory": "32Mi"},
            {"memory": "32Mi"},
        ),
        (
            {"requests": {"memory": "1024Mi"}},
            {"cpu": "50m", "memory": "1Gi"},
            {"memory": "1Gi"},
        ),
        (
            {"requests": {"cpu": "0.5"}, "limits": {"cpu": 2, "ephemeral-storage": "1Gi"}},
            {"cpu": "500m", "memory": "64Mi"},
            {"memory": "256Mi", "cpu": "2", "ephemeral-storage": "1Gi"},
        ),
    ],
)
def test_default_resources_give_way_to_what_is_asked(
    asked: dict[str, Any], requests: dict[str, str], limits: dict[str, str]
) -> None:
    found = _container({"pod": {"resources": asked}})["resources"]
    assert found == {"requests": requests, "limits": limits}


def test_what_the_spec_hands_on_is_put_in_normal_form() -> None:
    affinity = {
        "nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []},
        "podAntiAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": [
                {"topologyKey": "zone", "labelSelector": {"matchLabels": {}}, "namespaces": None}
            ]
        },
    }
    spec = {"pod": {"affinity": affinity, "tolerations": [{"key": "a", "value": ""}]}}
    found = _pod(spec)["spec"]
    assert found["tolerations"] == [{"key": "a"}]
    assert found["affinity"] == {
        "podAntiAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": [
                {"topologyKey": "zone", "labelSelector": {}}
            ]
        }
    }


def test_nothing_empty_stands_for_what_was_not_asked() -> None:
    spec = _pod()["spec"]
    absent = ("nodeSelector", "tolerations", "affinity", "priorityClassName", "imagePullSecrets")
    assert not set(absent) & set(spec)


def test_pull_secrets_of_the_installation_reach_both_pods() -> None:
    settings = Settings(image_pull_secrets=("hub",), registry_image="example.com/cais:1")
    assert _pod(settings=settings)["spec"]["imagePullSecrets"] == [{"name": "hub"}]
    job = desired.cron_job(registry(), settings, WAY)["spec"]["jobTemplate"]["spec"]["template"]
    assert job["spec"]["imagePullSecrets"] == [{"name": "hub"}]
    assert job["spec"]["containers"][0]["image"] == "example.com/cais:1"


def test_the_schedule_is_the_specs_and_runs_never_overlap() -> None:
    spec = {"garbageCollection": {"schedule": "@daily", "timeZone": "Asia/Tokyo", "suspend": True}}
    found = _job(spec)
    assert (found["schedule"], found["timeZone"], found["suspend"]) == (
        "@daily",
        "Asia/Tokyo",
        True,
    )
    assert found["concurrencyPolicy"] == "Forbid"
