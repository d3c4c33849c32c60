# SPDX-License-Identifier: Apache-2.0
"""What a real API server says to the CRD's rules."""

import json
import urllib.error
from typing import Any

import pytest
import yaml

from support.apiserver import ApiServer
from support.consumer_cases import BROKEN_CONSUMERS, CONSUMER_CASES
from support.crd_case import Case, Spec
from support.crd_cases import BROKEN, CASES
from support.operators import GROUP

PATH = f"{GROUP}/namespaces/default/registries"
PATHS = {"Registry": PATH, "RegistryAccess": f"{GROUP}/namespaces/default/registryaccesses"}


def _id(case: Case) -> str:
    return f"{case.message[:32]} {case.field}".strip()


def _body(spec: Spec, name: str = "team", kind: str = "Registry") -> dict[str, Any]:
    return {
        "apiVersion": "cais.dev/v1alpha1",
        "kind": kind,
        "metadata": {"name": name},
        "spec": spec,
    }


def _dry_run(api: ApiServer, spec: Spec, name: str, kind: str = "Registry") -> dict[str, Any]:
    query = "?dryRun=All&fieldValidation=Strict"
    return api.request("POST", PATHS[kind] + query, _body(spec, name, kind))


def _refusal(caught: pytest.ExceptionInfo[urllib.error.HTTPError]) -> str:
    assert caught.value.code == 422
    found: str = json.load(caught.value)["message"]
    return found


@pytest.mark.parametrize(
    "case", [case for case in (*CASES, *CONSUMER_CASES) if case.before is None], ids=_id
)
def test_a_rule_accepts_and_refuses(api: ApiServer, case: Case) -> None:
    _dry_run(api, case.accepted, case.names[0], case.kind)
    with pytest.raises(urllib.error.HTTPError) as caught:
        _dry_run(api, case.refused, case.names[1], case.kind)
    refusal = _refusal(caught)
    assert case.message in refusal
    assert case.field in refusal


@pytest.mark.parametrize("case", [case for case in CASES if case.before is not None], ids=_id)
def test_a_rule_about_a_change_accepts_and_refuses(api: ApiServer, case: Case) -> None:
    name = f"change-{CASES.index(case)}"
    before = api.request("POST", PATH, _body(case.before or {}, name))
    path = f"{PATH}/{name}"
    try:
        api.request("PUT", f"{path}?dryRun=All", {**before, "spec": case.accepted})
        with pytest.raises(urllib.error.HTTPError) as caught:
            api.request("PUT", f"{path}?dryRun=All", {**before, "spec": case.refused})
        assert case.message in _refusal(caught)
    finally:
        api.request("DELETE", path)


@pytest.mark.parametrize(("field", "spec"), BROKEN)
def test_a_broken_spec_is_refused_with_its_field(api: ApiServer, field: str, spec: Spec) -> None:
    with pytest.raises(urllib.error.HTTPError) as caught:
        _dry_run(api, spec, "broken")
    assert field in _refusal(caught)


@pytest.mark.parametrize(("field", "spec"), BROKEN_CONSUMERS)
def test_a_broken_access_is_refused_with_its_field(api: ApiServer, field: str, spec: Spec) -> None:
    with pytest.raises(urllib.error.HTTPError) as caught:
        _dry_run(api, spec, "broken", "RegistryAccess")
    assert field in _refusal(caught)


def test_a_misspelt_field_is_refused(api: ApiServer) -> None:
    with pytest.raises(urllib.error.HTTPError) as caught:
        _dry_run(api, {"paussed": True}, "broken")
    assert 'unknown field "spec.paussed"' in json.load(caught.value)["message"]


def test_what_is_empty_gets_every_default(api: ApiServer, crd_schema: dict[str, Any]) -> None:
    assert _dry_run(api, {}, "empty")["spec"]["storage"] == {}
    found = _dry_run(api, {"storage": {"volume": {}}}, "empty")["spec"]
    volume = crd_schema["properties"]["storage"]["properties"]["volume"]["properties"]
    assert found["storage"]["volume"] == {
        "size": volume["size"]["default"],
        "onDelete": volume["onDelete"]["default"],
    }
    assert found["garbageCollection"]["schedule"] == "17 3 * * *"


def test_the_longest_spec_stays_within_the_cost_of_the_rules(api: ApiServer) -> None:
    users = [f"{number:063d}" for number in range(64)]
    rule = {"users": users[32:], "repositories": ["**"], "actions": ["pull"]}
    access = {"users": [{"name": name} for name in users], "rules": [rule] * 64}
    _dry_run(api, {"access": access}, "long")


@pytest.fixture
def crd_schema(request: pytest.FixtureRequest) -> dict[str, Any]:
    text = (request.config.rootpath / "crds/registries.cais.dev.yaml").read_text()
    version = yaml.safe_load(text)["spec"]["versions"][0]
    found: dict[str, Any] = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
    return found


def test_what_is_nested_without_end_is_not_stored(api: ApiServer) -> None:
    """Readers in Python have an end to how deep they can go; the operator reads all tenants'."""
    deep: dict[str, Any] = {}
    for _ in range(900):
        deep = {"nodeAffinity": deep}
    found = api.request("POST", PATH, _body({"pod": {"affinity": deep}}, "nested"))
    try:
        assert found["spec"]["pod"]["affinity"] == {"nodeAffinity": {}}
    finally:
        api.request("DELETE", f"{PATH}/nested")


def test_an_affinity_is_stored_whole(api: ApiServer) -> None:
    pods = {
        "labelSelector": {"matchLabels": {"app": "db"}},
        "namespaceSelector": {"matchExpressions": [{"key": "tier", "operator": "Exists"}]},
        "namespaces": ["db"],
        "matchLabelKeys": ["pod-template-hash"],
        "mismatchLabelKeys": ["tenant"],
        "topologyKey": "kubernetes.io/hostname",
    }
    zone = {"key": "zone", "operator": "In", "values": ["a", "b"]}
    nodes = {"matchExpressions": [zone], "matchFields": [zone | {"key": "metadata.name"}]}
    of_pods = {
        "requiredDuringSchedulingIgnoredDuringExecution": [pods],
        "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1, "podAffinityTerm": pods}],
    }
    affinity = {
        "nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [nodes]},
            "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1, "preference": nodes}],
        },
        "podAffinity": of_pods,
        "podAntiAffinity": of_pods,
    }
    found = _dry_run(api, {"pod": {"affinity": affinity}}, "affine")
    assert found["spec"]["pod"]["affinity"] == affinity
