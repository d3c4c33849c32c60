# SPDX-License-Identifier: Apache-2.0
"""Schemas of CRDs beside the dataclasses that they are read into."""

import dataclasses
import typing
from collections.abc import Iterator, Mapping
from typing import Any

from cais_operator import resource
from cais_operator.resource import Duration, Quantity
from cais_operator.resource.checks import AtLeast, Limit, Pattern, Range, Together
from cais_operator.resource.decode import camel, unwrap


def schemas(schema: Mapping[str, Any], path: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    yield path, schema
    for name, inner in schema.get("properties", {}).items():
        yield from schemas(inner, f"{path}.{name}")
    for key, mark in (("items", "[]"), ("additionalProperties", "{}")):
        if key in schema:
            yield from schemas(schema[key], path + mark)


def differences(kind: Any, schema: Mapping[str, Any], path: str) -> Iterator[str]:
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
            yield from differences(typing.get_args(kind)[0], schema["items"], path + "[]")
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
            case Together():
                rules = {one["rule"] for one in schema.get("x-kubernetes-validations", ())}
                wanted = f"self.map(x, x.size()).sum() <= {check.most}"
                yield from _unequal(path, "length together", wanted in rules, code=True)
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
        yield from differences(hints[field.name], inner, f"{path}.{name}")
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


def unknown(value: Any, schema: Mapping[str, Any], path: str) -> Iterator[str]:
    if isinstance(value, dict):
        for key, one in value.items():
            if key not in schema["properties"]:
                yield f"{path}.{key}"
            else:
                yield from unknown(one, schema["properties"][key], f"{path}.{key}")
    elif isinstance(value, list):
        for one in value:
            yield from unknown(one, schema["items"], path)


def paths(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, one in value.items():
            yield from paths(one, f"{path}.{key}")
    else:
        yield path, value
        for one in value if isinstance(value, list) else ():
            yield from paths(one, f"{path}[]")
