# SPDX-License-Identifier: Apache-2.0
"""Templates to manifests, safe by construction. Pure.

Text templates and YAML are a bad pair: a value `on` becomes a boolean, `0123` becomes 83, and a
newline in a value becomes a key of its own. Here the environment's `finalize` turns every `{{ }}`
into one JSON value, which is one YAML value, whatever it holds; `docs/adr/0003` tells the rest.
Templates hold no decisions: a variable that is None leaves its key out.
"""

import dataclasses
import json
import re
from collections.abc import Hashable
from typing import Any

import jinja2
import yaml

Manifest = dict[str, Any]

# What YAML would fold, refuse or take for a line break although JSON allows it in a string.
_UNSAFE = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ud800-\udfff\ufffe\uffff]")


def as_yaml(value: object) -> str:
    """Return any JSON value as text that YAML reads back as the same value.

    Raises:
        jinja2.UndefinedError: When the value is an undefined variable.
        TypeError: When it is no JSON value.
    """
    if isinstance(value, jinja2.Undefined):
        str(value)  # StrictUndefined raises here, with the name of the variable
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def environment(loader: jinja2.BaseLoader) -> jinja2.Environment:
    """Return the one environment in which templates of this project may run.

    Autoescape stays off: it is HTML's, and would corrupt values.
    """
    return jinja2.Environment(
        loader=loader,
        undefined=jinja2.StrictUndefined,
        finalize=as_yaml,
        autoescape=False,  # noqa: S701 - the output is YAML; `finalize` is what makes it safe
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
        ValueError: When the result is not one object, or has a duplicate key.
    """
    variables = {field.name: getattr(context, field.name) for field in dataclasses.fields(context)}
    text = _ENVIRONMENT.get_template(f"{template}.yaml.j2").render(variables)
    return load(text, template)


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
    if not isinstance(found, dict) or not found.keys() >= {"apiVersion", "kind", "metadata"}:
        raise ValueError(f"template {name} gives no Kubernetes object")
    if not isinstance(found["metadata"], dict) or not found["metadata"].get("name"):
        raise ValueError(f"template {name} gives an object without metadata.name")
    return {key: without_nulls(value) for key, value in found.items()}


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
