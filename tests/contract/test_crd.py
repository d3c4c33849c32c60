# SPDX-License-Identifier: Apache-2.0
"""The hand-written CRD and the dataclasses say the same; every field is documented and bounded."""

import copy
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from cais_operator import desired, names, resource, status
from cais_operator.access import told
from cais_operator.consumers import Account, Credential
from cais_operator.observed import Observed, ServerState
from cais_operator.resource import AccessSpec, Spec
from operator_builders import NOW, SETTINGS, WAY, authority, leaf, registry, replaced_password
from support.access_bench import access
from support.consumer_cases import CONSUMER_CASES
from support.crd_cases import CASES
from support.crd_schema import differences, paths, schemas, unknown
from support.crd_storage_cases import bucket

ROOT = Path(__file__).parents[2]
PLURALS = {names.KIND: names.PLURAL, names.ACCESS_KIND: names.ACCESS_PLURAL}
CRDS = {
    kind: yaml.safe_load((ROOT / f"crds/{plural}.cais.dev.yaml").read_text())
    for kind, plural in PLURALS.items()
}
SCHEMAS = {
    kind: crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"] for kind, crd in CRDS.items()
}
SPEC = SCHEMAS[names.KIND]["properties"]["spec"]
STATUS = SCHEMAS[names.KIND]["properties"]["status"]
PARTS = [
    pytest.param(SCHEMAS[kind]["properties"][part], part, id=f"{kind}.{part}")
    for kind in SCHEMAS
    for part in ("spec", "status")
]
SAMPLES = sorted((ROOT / "manifests/samples").glob("*.yaml"))


@pytest.mark.parametrize(("kind", "plural"), PLURALS.items())
def test_names_are_those_of_the_code(kind: str, plural: str) -> None:
    crd = CRDS[kind]
    assert crd["spec"]["group"] == names.GROUP
    assert crd["spec"]["names"]["plural"] == plural
    assert crd["spec"]["names"]["kind"] == kind
    assert crd["spec"]["versions"][0]["name"] == names.VERSION
    assert crd["metadata"]["name"] == f"{plural}.{names.GROUP}"


@pytest.mark.parametrize(("kind", "spec"), [(names.KIND, Spec), (names.ACCESS_KIND, AccessSpec)])
def test_the_schema_and_the_dataclasses_say_the_same(kind: str, spec: type) -> None:
    assert list(differences(spec, SCHEMAS[kind]["properties"]["spec"], "spec")) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"default": "NodePort"}, "spec.expose.type: default is 'NodePort'"),
        ({"enum": ["ClusterIP"]}, "spec.expose.type: enum is ['ClusterIP']"),
        (None, "spec.expose: fields is"),
    ],
)
def test_a_difference_would_be_seen(change: dict[str, Any] | None, words: str) -> None:
    crd = copy.deepcopy(SPEC)
    fields = crd["properties"]["expose"]["properties"]
    if change is None:
        del fields["type"]
    else:
        fields["type"] |= change
    found = list(differences(Spec, crd, "spec"))
    assert len(found) == 1
    assert found[0].startswith(words)


@pytest.mark.parametrize(("part", "name"), PARTS)
def test_a_default_of_an_object_agrees_with_the_defaults_of_its_fields(
    part: Mapping[str, Any], name: str
) -> None:
    for path, schema in schemas(part, name):
        default = schema.get("default")
        if isinstance(default, dict):
            for field, value in default.items():
                assert schema["properties"][field].get("default") == value, f"{path}.{field}"


@pytest.mark.parametrize(("part", "name"), PARTS)
def test_every_field_is_documented(part: Mapping[str, Any], name: str) -> None:
    undocumented = [
        path
        for path, schema in schemas(part, name)
        if not path.endswith(("[]", "{}")) and not schema.get("description", "").endswith(".")
    ]
    assert undocumented == []


@pytest.mark.parametrize(("part", "name"), [one for one in PARTS if one.values[1] == "spec"])
def test_every_list_map_and_string_has_an_end(part: Mapping[str, Any], name: str) -> None:
    """The cost of a CEL rule is estimated from these bounds."""
    endless = [
        path
        for path, schema in schemas(part, name)
        if (schema.get("type") == "array" and "maxItems" not in schema)
        or ("additionalProperties" in schema and "maxProperties" not in schema)
        or (schema.get("type") == "string" and "maxLength" not in schema and "enum" not in schema)
    ]
    assert endless == []


@pytest.mark.parametrize(("part", "name"), PARTS)
def test_nothing_of_unknown_shape_is_stored(part: Mapping[str, Any], name: str) -> None:
    """Else a tenant could nest values so deep that no reader in Python survives them."""
    loose = [
        path
        for path, schema in schemas(part, name)
        if "x-kubernetes-preserve-unknown-fields" in schema
        or (
            schema.get("type") == "object"
            and not schema.keys() & {"properties", "additionalProperties"}
        )
    ]
    assert loose == []


@pytest.mark.parametrize("kind", SCHEMAS)
def test_every_rule_has_an_accepted_and_a_refused_example(kind: str) -> None:
    cases = [case for case in (*CASES, *CONSUMER_CASES) if case.kind == kind]
    rules = {
        (path.removesuffix("[]") + rule.get("fieldPath", ""), rule["message"])
        for path, schema in schemas(SCHEMAS[kind]["properties"]["spec"], "spec")
        for rule in schema.get("x-kubernetes-validations", [])
    } | {("metadata.name", rule["message"]) for rule in _rules_about_names(kind)}
    places = Counter(message for _, message in rules)
    for path, message in rules:
        found = [case for case in cases if message.startswith(case.message)]
        assert any(places[message] == 1 or case.field == path for case in found), (path, message)
    for case in cases:
        assert any(message.startswith(case.message) for _, message in rules), case.message


def _rules_about_names(kind: str) -> list[dict[str, str]]:
    return list(SCHEMAS[kind].get("x-kubernetes-validations", []))


def _documents() -> list[Any]:
    return [
        pytest.param(document, id=f"{path.name}-{document['metadata']['name']}")
        for path in SAMPLES
        for document in yaml.safe_load_all(path.read_text())
        if document["apiVersion"] == names.API_VERSION
    ]


@pytest.mark.parametrize("document", _documents())
def test_samples_are_parsed_and_rendered(document: dict[str, Any]) -> None:
    assert document["apiVersion"] == names.API_VERSION
    document["metadata"]["uid"] = "some-uid"
    if document["kind"] == names.ACCESS_KIND:
        asked = resource.parse_access(document)
        made = desired.consumer_secret(asked, "password", ("team.team-a.svc:5000",), "CA")
        assert made["metadata"]["namespace"] == document["metadata"]["namespace"]
        return
    found = resource.parse(document)
    for build in (desired.service, desired.deployment, desired.config_map):
        assert build(found, SETTINGS)["metadata"]["namespace"] == document["metadata"]["namespace"]
    assert desired.cron_job(found, SETTINGS, WAY)["spec"]["schedule"]


def test_every_field_of_a_status_is_in_the_schema_and_the_other_way_round() -> None:
    missed = {"nextRunTime": "2026-03-01T03:18:00Z"}
    known = registry(
        {"quota": "1Gi"}, status={"observedGeneration": 1, "garbageCollection": missed}
    )
    over_bucket = registry(bucket())
    both = [
        status.of(one, _whole(), (), datetime(2026, 3, 2, tzinfo=UTC))
        for one in (known, over_bucket)
    ]
    for found in both:
        assert list(unknown(found, STATUS, "status")) == []
    leaves = {path for path, schema in schemas(STATUS, "") if "properties" not in schema}
    written = {path for found in both for path, value in paths(found, "")}
    assert {path for path in leaves if "conditions" not in path} == {
        path for path in written if "conditions" not in path
    }


def test_the_same_of_the_status_of_a_registryaccess() -> None:
    schema = SCHEMAS[names.ACCESS_KIND]["properties"]["status"]
    credential = Credential(password="a" * 32, issued=NOW, live=True)
    account = Account(uid="u", generation=1, loaded=1, credentials=(credential,))
    facts = told.Facts(address="team.team-a.svc:5000", credential=credential)
    found = told.of(access(), told.granted(access(), account, ()), facts, NOW)
    assert list(unknown(found, schema, "status")) == []
    assert set(found) == set(schema["properties"])
    assert set(found["credential"]) == set(schema["properties"]["credential"]["properties"])


def _whole() -> Observed:
    team = registry()
    run = {
        "state": "Succeeded",
        "finishedAt": "2026-03-01T00:00:00Z",
        "durationSeconds": 1.0,
        "tagsDeleted": 1,
        "untaggedDeleted": 1,
        "blobsDeleted": 1,
        "bytesReclaimed": 1,
    }
    usage = {
        "repositories": 1,
        "tags": 1,
        "bytes": 1,
        "bytesReclaimable": 1,
        "disk": {"capacity": 1, "available": 1},
    }
    claim = desired.claim(team, SETTINGS, None) or {}
    bound = {"phase": "Bound", "capacity": {"storage": "10Gi"}}
    return Observed(
        children={
            ("Service", "team"): {"spec": {"clusterIP": "10.96.0.1"}},
            ("Certificate", "team-certificate"): {},
            ("Ingress", "team"): {},
            ("Secret", "team-admin"): replaced_password(),
            ("Secret", "team-tls"): desired.tls_secret(team, SETTINGS, leaf(), authority()),
            ("ConfigMap", "team-ca"): desired.ca_config_map(team, SETTINGS, authority().bundle),
            ("PersistentVolumeClaim", "team-data"): {**claim, "status": bound},
        },
        server=ServerState(
            version="0.1.0",
            usage=usage,
            gc={"last": run, "lastSuccess": run, "lastDryRun": run | {"message": "x"}},
        ),
    )
