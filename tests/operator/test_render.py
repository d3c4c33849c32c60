# SPDX-License-Identifier: Apache-2.0
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

import cais_operator
from cais_operator import desired, render
from operator_builders import SETTINGS, registry

TEMPLATES = sorted((Path(cais_operator.__file__).parent / "templates").glob("*"))
# A line of a template: YAML without any expression, or one whose whole value is one expression.
_WHOLE_VALUE = re.compile(r"^\s*(- )?([A-Za-z]+: )?\{\{ [a-z_]+(\.[a-z_]+)? \}\}$")
_PLAIN = re.compile(r"^[^{}#%]*(\{[A-Za-z0-9 :,/-]*\})?$|^\{# [^{}]* #\}$")


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_templates_hold_whole_values_and_no_decisions(template: Path) -> None:
    lines = template.read_text().splitlines()
    bad = [line for line in lines if not _WHOLE_VALUE.match(line) and not _PLAIN.match(line)]
    assert bad == []
    assert len(lines) <= 80


@pytest.mark.parametrize(
    "line",
    [
        "name: pre-{{ n }}",
        "name: '{{ n }}'",
        "name: {{ n | upper }}",
        "name: {{ n }}-post",
        "{% if n %}",
        "name: {{ n }} # why",
        "{{ key }}: value",
    ],
)
def test_the_rule_for_templates_sees_what_it_is_for(line: str) -> None:
    assert not _WHOLE_VALUE.match(line)
    assert not _PLAIN.match(line)


def _render(text: str, **variables: Any) -> Any:
    template = render.environment(jinja2.DictLoader({"t": text})).get_template("t")
    marks = {name: render.Slot(name) for name in variables}
    return render.fill(yaml.safe_load(template.render(marks)), variables)


# fmt: off
_NASTY = ["on", "true", "null", "~", "0x1", "0123", "12:30:00", "1e3", "", " ", "# c", "a: b",
          "x\n  hostNetwork: true", "- a", "{{ n }}", "{% if %}", "'", '"', "\\", "\x7f", "\x85",
          "\u2028", "\ufeff", "😀", "\ud800", "\ufffe", "!!python/object:os.system", "&a *a"]
# fmt: on


@pytest.mark.parametrize("value", _NASTY)
def test_a_nasty_string_comes_back_as_it_was(value: str) -> None:
    found = _render("a: {{ value }}\nb:\n- {{ value }}\nc: {{ map }}", value=value, map={value: 1})
    assert found == {"a": value, "b": [value], "c": {value: 1}}


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(_VALUES)
@example("x\n  hostNetwork: true")
def test_any_value_comes_back_and_brings_no_key_of_its_own(value: Any) -> None:
    found = _render("before: 1\nspec:\n  here: {{ value }}\nafter: 2", value=value)
    assert found == render.without_nulls({"before": 1, "spec": {"here": value}, "after": 2})


@given(st.text(), st.text())
def test_strings_of_a_spec_change_values_and_never_the_shape_of_a_pod(one: str, two: str) -> None:
    plain = registry({"pod": {"annotations": {"example.com/a": "x"}, "nodeSelector": {"n": "y"}}})
    nasty = registry({"pod": {"annotations": {"example.com/a": one}, "nodeSelector": {"n": two}}})
    found = desired.deployment(nasty, SETTINGS)
    assert _shape(found) == _shape(desired.deployment(plain, SETTINGS))
    pod = found["spec"]["template"]
    assert pod["metadata"]["annotations"]["example.com/a"] == one
    assert pod["spec"]["nodeSelector"]["n"] == two


def _shape(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _shape(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_shape(one) for one in value]
    return type(value)


def test_an_unknown_variable_is_an_error_and_not_an_empty_value() -> None:
    with pytest.raises(jinja2.UndefinedError, match="'missing' is undefined"):
        _render("a: {{ missing }}")


def test_an_unknown_attribute_is_an_error() -> None:
    with pytest.raises(AttributeError, match="missing"):
        _render("a: {{ pod.missing }}", pod=_Context(name="n", data={}))


def test_a_template_that_computes_is_an_error() -> None:
    with pytest.raises(TypeError, match="variables and their attributes only"):
        _render("a: {{ 1 + 1 }}")


def test_a_value_that_is_no_json_is_an_error() -> None:
    with pytest.raises(TypeError):
        _render("a: {{ value }}", value=object())
    with pytest.raises(ValueError, match="not JSON compliant"):
        _render("a: {{ value }}", value=float("nan"))


@dataclass(frozen=True, slots=True)
class _Context:
    name: str
    data: dict[str, str | None]


def test_a_null_leaves_its_key_out() -> None:
    found = render.render("config-map", _Context(name="n", data={"a": "b", "c": None}))
    assert found == {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "n"},
        "data": {"a": "b"},
    }


def test_what_was_rendered_shares_nothing_with_what_is_rendered_next() -> None:
    data: dict[str, str | None] = {"a": "b"}
    first = render.render("config-map", _Context(name="n", data=data))
    first["metadata"]["name"] = first["data"]["a"] = "changed"
    assert data == {"a": "b"}
    found = render.render("config-map", _Context(name="m", data=data))
    assert (found["metadata"], found["data"]) == ({"name": "m"}, {"a": "b"})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("apiVersion: v1\nkind: A\nkind: B\nmetadata: {name: n}", "key 'kind' stands twice"),
        ("apiVersion: v1\nkind: A\nmetadata: {name: n, name: m}", "key 'name' stands twice"),
        ("apiVersion: v1\nkind: A\nmetadata: {}", "without metadata.name"),
        ("apiVersion: v1\nkind: A", "no Kubernetes object"),
        ("- 1", "no Kubernetes object"),
        ("", "no Kubernetes object"),
        ("a: b: c", "gives no YAML"),
        ("apiVersion: v1\n---\nkind: A", "gives no YAML"),
        ("a: !!python/name:os.system ''", "gives no YAML"),
    ],
)
def test_anything_but_one_whole_object_is_refused(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        render.load(text, "a-template")
