# SPDX-License-Identifier: Apache-2.0
"""The whole set of manifests of a Registry, and whether Kubernetes would know every field of it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

import golden
from cais_operator import render
from support.foreign_kinds import FOREIGN

NAMES = [case.name for case in golden.cases()]
REVIEW = "run `make golden` and read the diff"


@pytest.fixture(params=NAMES)
def case(request: pytest.FixtureRequest) -> Path:
    return golden.CASES / str(request.param)


def test_manifests_are_as_reviewed(case: Path) -> None:
    written = yaml.safe_load_all((case / "manifests.yaml").read_text())
    assert list(written) == golden.manifests(case), REVIEW
    assert (case / "manifests.yaml").read_text() == golden.text(case), REVIEW


def test_kubernetes_knows_every_field(case: Path) -> None:
    for manifest in golden.manifests(case):
        if manifest["apiVersion"] not in FOREIGN:  # an API server is asked about those
            kubernetes_validate.validate(manifest, "1.37", strict=True)


def test_the_validation_would_see_a_misspelt_field(case: Path) -> None:
    service = golden.manifests(case)[0]
    service["spec"]["prots"] = service["spec"].pop("ports")
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(service, "1.37", strict=True)


def test_manifests_are_in_normal_form(case: Path) -> None:
    for manifest in golden.manifests(case):
        assert "stringData" not in manifest
        assert render.without_nulls(manifest) == manifest
        for port in _ports(manifest):
            assert port["protocol"] == "TCP" or port["protocol"] == "UDP"


def _ports(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, list):
        for one in value:
            yield from _ports(one)
    if isinstance(value, dict):
        for key, one in value.items():
            if key == "ports":
                yield from one
            yield from _ports(one)


def test_no_two_children_have_one_name(case: Path) -> None:
    found = [(one["kind"], one["metadata"]["name"]) for one in golden.manifests(case)]
    assert len(found) == len(set(found))
