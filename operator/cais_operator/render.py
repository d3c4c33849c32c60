# SPDX-License-Identifier: Apache-2.0
"""Templates to manifests, safe by construction. Pure.

Text templates and YAML are a bad pair: a value `on` becomes a boolean, `0123` becomes 83, and a
newline in a value becomes a key of its own. Here no value is ever text: a template is rendered
once, with a mark in place of each `{{ }}`, and loaded; the values take the place of the marks in
what was loaded. `docs/adr/0003` tells the rest. Templates hold no decisions: a variable that is
None leaves its key out.
"""

import dataclasses
import json
from collections.abc import Hashable, Mapping
from functools import cache
from typing import Any

import jinja2
import yaml

Manifest = dict[str, Any]

_MARK = "\0"  # begins the text that stands for a value; YAML has it only as an escape
_PLAIN = frozenset((str, int, bool, type(None)))  # what JSON has and nobody can change


class Slot:
    """Stands for a variable, or an attribute of one, while a template is loaded."""

    def __init__(self, path: str) -> None:
        self.__path = path

    def __getattr__(self, name: str) -> "Slot":
        """Return the slot of an attribute; Jinja looks for it as for that of any object."""
        return Slot(f"{self}.{name}")

    def __str__(self) -> str:
        """Return the variable, with its attributes if any."""
        return self.__path

    @staticmethod
    def mark(slot: object) -> str:
        """Return the text that stands for a value, as YAML.

        Raises:
            jinja2.UndefinedError: When the template names a variable that the context lacks.
            TypeError: When the template computes something.
        """
        if isinstance(slot, jinja2.Undefined):
            str(slot)  # StrictUndefined raises here, with the name of the variable
        if not isinstance(slot, Slot):
            raise TypeError(f"a template has variables and their attributes only, not {slot!r}")
        return json.dumps(_MARK + str(slot))


def environment(loader: jinja2.BaseLoader) -> jinja2.Environment:
    """Return the one environment in which templates of this project may run.

    Autoescape stays off: it is HTML's, and would corrupt marks.
    """
    return jinja2.Environment(
        loader=loader,
        undefined=jinja2.StrictUndefined,
        finalize=Slot.mark,
        autoescape=False,  # noqa: S701 - no value is ever rendered, see above
        trim_blocks=True,
        lstrip_blocks=True,
    )


def render(template: str, context: Any) -> Manifest:  # noqa: ANN401 - any dataclass instance
    """Render one template of `templates/` to one Kubernetes object.

    Args:
        template: Name without `.yaml.j2`.
        context: A frozen dataclass; its fields are the template's variables.

    Returns:
        The object, with apiVersion, kind and metadata.name, without any null.

    Raises:
        jinja2.UndefinedError: When the template names a variable that the context lacks.
        TypeError: When a value is no JSON value.
        ValueError: When the result is not one object, or has a duplicate key.
    """
    names = tuple(field.name for field in dataclasses.fields(context))
    found = fill(_skeleton(template, names), {name: getattr(context, name) for name in names})
    return _checked(found, template)


def fill(skeleton: Any, variables: Mapping[str, Any]) -> Any:  # noqa: ANN401 - any JSON value
    """Return a copy of what was loaded with values in place of the marks, and without nulls.

    Raises:
        AttributeError: When a value lacks the attribute that a mark names.
        TypeError, ValueError: When a value is no JSON value.
    """
    if isinstance(skeleton, str):
        return _json(_value(skeleton[1:], variables)) if skeleton[:1] == _MARK else skeleton
    if isinstance(skeleton, dict):
        filled = {}
        for key, one in skeleton.items():
            value = fill(one, variables)
            if value is not None:
                filled[key] = value
        return filled
    if isinstance(skeleton, list):
        return [fill(one, variables) for one in skeleton]
    return skeleton


def _value(path: str, variables: Mapping[str, Any]) -> Any:  # noqa: ANN401 - any JSON value
    name, *attributes = path.split(".")
    value = variables[name]
    for attribute in attributes:
        value = getattr(value, attribute)
    return value


def _json(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Return a copy of a value as JSON has it, without nulls."""
    kind = type(value)
    if kind in _PLAIN:
        return value
    if kind is dict and all(type(key) is str for key in value):
        return {key: _json(one) for key, one in value.items() if one is not None}
    if kind in {list, tuple}:
        return [_json(one) for one in value]
    return without_nulls(json.loads(json.dumps(value, allow_nan=False)))


@cache
def _skeleton(template: str, names: tuple[str, ...]) -> Manifest:
    """Load a template, with marks in place of values."""
    source = _ENVIRONMENT.get_template(f"{template}.yaml.j2")
    return load(source.render({name: Slot(name) for name in names}), template)


def load(text: str, name: str) -> Manifest:
    """Read one Kubernetes object from YAML, strictly.

    Raises:
        ValueError: When it is not exactly one object with apiVersion, kind and metadata.name,
            or when a key stands twice.
    """
    try:
        found = yaml.load(text, Loader=_StrictLoader)  # noqa: S506 - a SafeLoader, made stricter
    except yaml.YAMLError as error:
        raise ValueError(f"template {name} gives no YAML: {error}") from error
    return _checked(without_nulls(found), name)


def _checked(found: Any, name: str) -> Manifest:  # noqa: ANN401 - whatever was loaded
    if not isinstance(found, dict) or not found.keys() >= {"apiVersion", "kind", "metadata"}:
        raise ValueError(f"template {name} gives no Kubernetes object")
    if not isinstance(found["metadata"], dict) or not found["metadata"].get("name"):
        raise ValueError(f"template {name} gives an object without metadata.name")
    return found


def without_nulls(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Return the value without keys that hold null: the API server stores none."""
    if isinstance(value, dict):
        return {key: without_nulls(one) for key, one in value.items() if one is not None}
    if isinstance(value, list):
        return [without_nulls(one) for one in value]
    return value


class _StrictLoader(yaml.CSafeLoader):
    """PyYAML keeps the last of two equal keys in silence; this one refuses."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {key!r} stands twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


_ENVIRONMENT = environment(jinja2.PackageLoader("cais_operator"))
