# SPDX-License-Identifier: Apache-2.0
"""The description of the admin API, against the paths, the actions and the documents."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from cais_registry.http import admin, gate, openapi, router

CONFIGURATION = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text()


def served() -> set[tuple[str, str]]:
    """Path and method of all that the router lets through; HEAD is like GET."""
    return {
        (path, method)
        for path, methods in router.ADMIN.items()
        for method in methods
        if method != "HEAD"
    }


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        yield from (value for key, value in node.items() if key == "$ref")
        node = list(node.values())
    if isinstance(node, list):
        for one in node:
            yield from references(one)


def test_every_path_is_described_and_handled_and_nothing_else() -> None:
    assert {(one.path, one.method.upper()) for one in openapi.OPERATIONS} == served()
    assert {(path, method) for method, path in admin._HANDLERS} == served()


def test_the_actions_that_are_described_are_those_that_are_needed() -> None:
    for one in openapi.OPERATIONS:
        action = gate._ADMIN[one.path.partition("/")[0]].value
        assert set(one.needs) == {"admin", action}, one.name


def test_every_path_is_documented_with_the_actions_that_it_needs() -> None:
    rows = re.findall(r"^\| (`(?:GET|POST) /cais/v1/.*?) \| (.*?) \|", CONFIGURATION, re.MULTILINE)
    documented = {
        (path, method, frozenset(re.findall("`([a-z]+)`", needs)))
        for requests, needs in rows
        for method, path in re.findall(r"`(GET|POST) /cais/v1/([a-z./<>]+)", requests)
    }
    assert documented == {
        (one.path, one.method.upper(), frozenset(one.needs)) for one in openapi.OPERATIONS
    }


@pytest.mark.parametrize("is_open", [True, False])
def test_the_description_holds_together(is_open: bool) -> None:
    found = openapi.describe("1", is_open=is_open)
    names = [one.name for one in openapi.OPERATIONS]
    assert len(set(names)) == len(names)
    for reference in references(found):
        node = found
        for part in reference.removeprefix("#/").split("/"):
            node = node[part]
    for schema in found["components"]["schemas"].values():
        jsonschema_rs.meta.validate(
            {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
        )
    errors = {
        status
        for methods in found["paths"].values()
        for one in methods.values()
        for status in one["responses"]
    }
    assert {"400", "404", "413", "500", "503"} <= errors
    assert ({"401", "403"} <= errors) is not is_open
    assert ("security" in found) is not is_open
