# SPDX-License-Identifier: Apache-2.0
"""The hand-written CRD and the dataclasses say the same; every field is documented and bounded."""

import copy
import dataclasses
import typing
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from cais_operator import desired, names, resource, status
from cais_operator.observed import Observed, ServerState
from cais_operator.resource import Duration, Quantity, Spec
from cais_operator.resource.checks import AtLeast, Limit, Pattern, Range
from cais_operator.resource.decode import camel, unwrap
from operator_builders import SETTINGS, WAY, authority, leaf, registry
from support.crd_cases import CASES

ROOT = Path(__file__).parents[2]
CRD = yaml.safe_load((ROOT / "crds/registries.cais.dev.yaml").read_text())
VERSION = CRD["spec"]["versions"][0]
SCHEMA = VERSION["schema"]["openAPIV3Schema"]
SPEC = SCHEMA["properties"]["spec"]
STATUS = SCHEMA["properties"]["status"]
SAMPLES = sorted((ROOT / "manifests/samples").glob("*.yaml"))


def test_names_are_those_of_the_code() -> None:
    assert CRD["spec"]["group"] == names.GROUP
    assert CRD["spec"]["names"]["plural"] == names.PLURAL
    assert CRD["spec"]["names"]["kind"] == names.KIND
    assert VERSION["name"] == names.VERSION
    assert CRD["metadata"]["name"] == f"{names.PLURAL}.{names.GROUP}"


def _schemas(schema: Mapping[str, Any], path: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    yield path, schema
    for name, inner in schema.get("properties", {}).items():
        yield from _schemas(inner, f"{path}.{name}")
    for key, mark in (("items", "[]"), ("additionalProperties", "{}")):
        if key in schema:
            yield from _schemas(schema[key], path + mark)


def _differences(kind: Any, schema: Mapping[str, Any], path: str) -> Iterator[str]:
    """Everything in which a type and a schema differ."""
    kind, checks = unwrap(kind)
    yield from _differing_checks(checks, schema, path)
    origin = typing.get_origin(kind)
    if kind is Duration:
        yield from _unequal(path, "pattern", schema.get("pattern"), resource.durations.PATTERN)
    elif kind is Quantity:
        yield from _unequal(path, "pattern", schema.get("pattern"), resource.quantities.PATTERN)
    elif dataclasses.is_dataclass(kind):
        yield from _differing_fields(kind, schema, path)
    elif origin is tuple:
        yield from _unequal(path, "type", schema["type"], "array")
        if typing.get_origin(typing.get_args(kind)[0]) is not Mapping:
            yield from _differences(typing.get_args(kind)[0], schema["items"], path + "[]")
    elif origin is Mapping:
        yield from _unequal(path, "type", schema["type"], "object")
    elif origin is typing.Literal:
        yield from _unequal(path, "enum", schema.get("enum"), list(typing.get_args(kind)))
    else:
        scalar = {str: "string", int: "integer", bool: "boolean"}[kind]
        yield from _unequal(path, "type", schema["type"], scalar)


def _differing_checks(
    checks: tuple[Any, ...], schema: Mapping[str, Any], path: str
) -> Iterator[str]:
    for check in checks:
        match check:
            case Pattern():
                yield from _unequal(path, "pattern", schema.get("pattern"), check.regex)
                yield from _unequal(path, "maxLength", schema.get("maxLength"), check.longest)
            case Limit():
                yield from _unequal(path, "maxItems", schema.get("maxItems"), check.most)
            case AtLeast():
                yield from _unequal(path, "minItems", schema.get("minItems"), check.least)
            case Range():
                bounds = (schema.get("minimum"), schema.get("maximum"))
                yield from _unequal(path, "bounds", bounds, (check.least, check.most))


def _differing_fields(kind: Any, schema: Mapping[str, Any], path: str) -> Iterator[str]:
    hints = typing.get_type_hints(kind, include_extras=True)
    fields = {camel(field.name): field for field in dataclasses.fields(kind)}
    yield from _unequal(path, "fields", set(schema["properties"]), set(fields))
    missing = dataclasses.MISSING
    required = [
        name
        for name, field in fields.items()
        if field.default is missing and field.default_factory is missing
    ]
    yield from _unequal(path, "required", schema.get("required", []), required)
    for name, inner in schema["properties"].items():
        if name not in fields:
            continue  # told above
        field = fields[name]
        yield from _differences(hints[field.name], inner, f"{path}.{name}")
        if name not in required:
            yield from _differing_default(field, inner, f"{path}.{name}")


def _differing_default(
    field: dataclasses.Field[Any], schema: Mapping[str, Any], path: str
) -> Iterator[str]:
    default = field.default
    if field.default_factory is not dataclasses.MISSING:
        default = field.default_factory()
    if isinstance(default, Duration | Quantity):
        default = str(default)
    if dataclasses.is_dataclass(default):
        return  # its fields are looked at one by one
    nothing: tuple[object, ...] = (None, (), {})
    said = schema.get("default")
    if isinstance(default, str) and schema.get("pattern") == resource.durations.PATTERN:
        said = str(Duration.parse(str(said)))
    if said != default and not (default in nothing and said in (None, [], {})):
        yield f"{path}: default is {said!r} in the CRD, {default!r} in the code"


def _unequal(path: str, what: str, crd: object, code: object) -> Iterator[str]:
    if crd != code:
        yield f"{path}: {what} is {crd!r} in the CRD, {code!r} in the code"


def test_the_schema_and_the_dataclasses_say_the_same() -> None:
    assert list(_differences(Spec, SPEC, "spec")) == []


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
    found = list(_differences(Spec, crd, "spec"))
    assert len(found) == 1
    assert found[0].startswith(words)


def test_a_default_of_an_object_agrees_with_the_defaults_of_its_fields() -> None:
    for path, schema in _schemas(SPEC, "spec"):
        default = schema.get("default")
        if isinstance(default, dict):
            for name, value in default.items():
                assert schema["properties"][name].get("default") == value, f"{path}.{name}"


def test_every_field_is_documented() -> None:
    for part, path in ((SPEC, "spec"), (STATUS, "status")):
        undocumented = [
            name
            for name, schema in _schemas(part, path)
            if not name.endswith(("[]", "{}")) and not schema.get("description", "").endswith(".")
        ]
        assert undocumented == []


def test_every_list_map_and_string_has_an_end() -> None:
    """The cost of a CEL rule is estimated from these bounds."""
    endless = [
        path
        for path, schema in _schemas(SPEC, "spec")
        if (schema.get("type") == "array" and "maxItems" not in schema)
        or ("additionalProperties" in schema and "maxProperties" not in schema)
        or (schema.get("type") == "string" and "maxLength" not in schema and "enum" not in schema)
    ]
    assert endless == []


def test_nothing_of_unknown_shape_is_stored() -> None:
    """Else a tenant could nest values so deep that no reader in Python survives them."""
    loose = [
        path
        for part, name in ((SPEC, "spec"), (STATUS, "status"))
        for path, schema in _schemas(part, name)
        if "x-kubernetes-preserve-unknown-fields" in schema
        or (
            schema.get("type") == "object"
            and not schema.keys() & {"properties", "additionalProperties"}
        )
    ]
    assert loose == []


def test_every_rule_has_an_accepted_and_a_refused_example() -> None:
    rules = [
        rule["message"]
        for _, schema in _schemas(SCHEMA, "")
        for rule in schema.get("x-kubernetes-validations", [])
    ]
    for message in rules:
        assert any(message.startswith(case.message) for case in CASES), message
    for case in CASES:
        assert any(message.startswith(case.message) for message in rules), case.message


def _documents() -> list[Any]:
    return [
        pytest.param(document, id=f"{path.name}-{document['metadata']['name']}")
        for path in SAMPLES
        for document in yaml.safe_load_all(path.read_text())
        if document["kind"] == names.KIND
    ]


@pytest.mark.parametrize("document", _documents())
def test_samples_are_parsed_and_rendered(document: dict[str, Any]) -> None:
    assert document["apiVersion"] == names.API_VERSION
    document["metadata"]["uid"] = "some-uid"
    found = resource.parse(document)
    for build in (desired.service, desired.deployment, desired.config_map):
        assert build(found, SETTINGS)["metadata"]["namespace"] == document["metadata"]["namespace"]
    assert desired.cron_job(found, SETTINGS, WAY)["spec"]["schedule"]


def _unknown(value: Any, schema: Mapping[str, Any], path: str) -> Iterator[str]:
    if isinstance(value, dict):
        for key, one in value.items():
            if key not in schema["properties"]:
                yield f"{path}.{key}"
            else:
                yield from _unknown(one, schema["properties"][key], f"{path}.{key}")
    elif isinstance(value, list):
        for one in value:
            yield from _unknown(one, schema["items"], path)


def test_every_field_of_a_status_is_in_the_schema_and_the_other_way_round() -> None:
    missed = {"nextRunTime": "2026-03-01T03:18:00Z"}
    known = registry(
        {"quota": "1Gi"}, status={"observedGeneration": 1, "garbageCollection": missed}
    )
    found = status.of(known, _whole(), (), datetime(2026, 3, 2, tzinfo=UTC))
    assert list(_unknown(found, STATUS, "status")) == []
    leaves = {path for path, schema in _schemas(STATUS, "") if "properties" not in schema}
    written = {path for path, value in _paths(found, "")}
    assert {path for path in leaves if "conditions" not in path} == {
        path for path in written if "conditions" not in path
    }


def _paths(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, one in value.items():
            yield from _paths(one, f"{path}.{key}")
    else:
        yield path, value


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
            ("Secret", "team-tls"): desired.tls_secret(team, SETTINGS, leaf(), authority()),
            ("ConfigMap", "team-ca"): desired.ca_config_map(team, SETTINGS, authority().bundle),
            ("PersistentVolumeClaim", "team-data"): {**claim, "status": bound},
        },
        server=ServerState(
            usage=usage, gc={"last": run, "lastSuccess": run, "lastDryRun": run | {"message": "x"}}
        ),
    )
