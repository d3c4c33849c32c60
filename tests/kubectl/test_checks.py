# SPDX-License-Identifier: Apache-2.0
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from cais_kubectl import __version__, checks
from cais_operator import __version__ as version_of_the_operator
from support.fake_kubectl import NOW, stamp

CHART = Path(__file__).parents[2] / "charts" / "cais" / "Chart.yaml"
DEFAULT = {"storageclass.kubernetes.io/is-default-class": "true"}


def named(name: str, **more: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "cais-system"}, **more}


def test_the_versions_are_those_of_operator_and_chart() -> None:
    assert __version__ == version_of_the_operator
    oldest = ".".join(map(str, checks.OLDEST))
    assert yaml.safe_load(CHART.read_text())["kubeVersion"] == f">={oldest}.0-0"


@pytest.mark.parametrize(
    ("text", "level"),
    [("v1.30.0", "ok"), ("v1.29.9+k3s1", "problem"), ("v2.0.0", "ok"), ("v1.9.1", "problem")],
)
def test_an_old_api_server_is_a_problem(text: str, level: str) -> None:
    assert checks.version({"gitVersion": text}).level == level


def definition(established: str = "True", version: str = "v1alpha1") -> dict[str, Any]:
    state = [
        {"type": "Established", "status": established},
        {"type": "NamesAccepted", "status": "True"},
    ]
    return {"status": {"conditions": state}, "spec": {"versions": [{"name": version, "served": 1}]}}


@pytest.mark.parametrize(
    ("found", "level"),
    [
        (None, "problem"),
        (definition(), "ok"),
        (definition(established="False"), "problem"),
        (definition(version="v9"), "problem"),
        ({"spec": {}}, "problem"),
    ],
)
def test_a_definition_is_there_established_and_serves_our_version(found: Any, level: str) -> None:
    assert checks.definition("registries.cais.dev", found).level == level


@pytest.mark.parametrize(
    ("deployments", "levels"),
    [
        ([], ["problem"]),
        ([named("one", spec={"replicas": 2}, status={"availableReplicas": 1})], ["ok"]),
        ([named("one", spec={}, status={})], ["problem"]),
        ([named("one", spec={}, status={"availableReplicas": 1})] * 2, ["warning", "ok", "ok"]),
    ],
)
def test_operators_are_one_and_run(deployments: list[Any], levels: list[str]) -> None:
    assert [one.level for one in checks.operators(deployments)] == levels


@pytest.mark.parametrize(
    ("lease", "level"),
    [
        (None, "problem"),
        ({"spec": {"holderIdentity": ""}}, "problem"),
        ({"spec": {"holderIdentity": "x", "renewTime": stamp()}}, "ok"),
        ({"spec": {"holderIdentity": "x", "renewTime": stamp(timedelta(minutes=5))}}, "problem"),
        ({"spec": {"holderIdentity": "x"}}, "note"),
    ],
)
def test_a_leader_holds_the_lease_and_was_heard_of(lease: Any, level: str) -> None:
    assert checks.leader(lease, "cais-system", NOW).level == level


def storage(name: str, *, grows: bool = True, default: bool = True) -> dict[str, Any]:
    metadata = {"name": name, "annotations": DEFAULT if default else {}}
    return {"metadata": metadata, "allowVolumeExpansion": grows}


@pytest.mark.parametrize(
    ("classes", "level"),
    [
        ([], "warning"),
        ([storage("a"), storage("b", default=False)], "ok"),
        ([storage("a", grows=False)], "warning"),
        ([storage("a"), storage("b")], "warning"),
    ],
)
def test_one_storage_class_is_the_default_and_grows(classes: list[Any], level: str) -> None:
    assert checks.classes(classes).level == level


@pytest.mark.parametrize(
    ("status", "level"),
    [
        ({"desiredNumberScheduled": 3, "numberReady": 3}, "ok"),
        ({"desiredNumberScheduled": 3, "numberReady": 2}, "problem"),
        ({}, "problem"),
    ],
)
def test_every_node_knows_the_registries(status: Any, level: str) -> None:
    assert checks.node_trust([named("x", status=status)]).level == level
    assert checks.node_trust([]).level == "note"


@pytest.mark.parametrize(
    ("seconds", "level"), [(2, "ok"), (-2, "ok"), (90, "warning"), (-90, "warning")]
)
def test_clocks_agree(seconds: int, level: str) -> None:
    found = checks.clock(NOW + timedelta(seconds=seconds), NOW)
    assert found.level == level
    assert ("ahead of" in found.what) == (seconds == 90)


def test_rights_that_are_lacking_are_named_with_the_commands_that_need_them() -> None:
    keys = [one[:4] for one in checks.RIGHTS]
    assert checks.rights(dict.fromkeys(keys, True), "team-a").level == "ok"
    found = checks.rights({key: key[2] != "secrets" for key in keys}, "team-a")
    assert found.level == "warning"
    assert "get secrets (login, ls)" in found.what


def test_what_the_advice_names_is_a_line_that_a_shell_understands() -> None:
    found = checks.classes([storage("a", grows=False)])
    patch = found.todo.partition(" -p '")[2].rstrip("'")
    assert json.loads(patch) == {"allowVolumeExpansion": True}
