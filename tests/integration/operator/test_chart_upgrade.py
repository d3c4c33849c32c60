# SPDX-License-Identifier: Apache-2.0
"""Helm upgrades the CRDs of a real API server with the release, and takes them back."""

import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import chart
from e2e.readme import blocks
from support.apiserver import wait_for
from support.operators import DEFINITIONS, Place

pytestmark = pytest.mark.timeout(900)  # the first run on a machine builds Helm
CRD = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/registries.cais.dev"
PINNED = {"spec": {"version": "0.1.0"}}


def typed(word: str, place: Place) -> list[str]:
    """A command of docs/upgrading.md, without waiting for pods, which no node runs here."""
    (lines,) = blocks((chart.ROOT / "docs" / "upgrading.md").read_text(), "In short")
    words = next(words for words in map(shlex.split, lines) if words[1] == word)
    found = [place.system if one == "cais-system" else one for one in words if one != "--wait"]
    return [*found[1:], "--kubeconfig", str(place.api.kubeconfig)]


def helm(*arguments: str) -> None:
    command = [str(chart.helm()), *arguments]
    done = subprocess.run(command, cwd=chart.ROOT, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


def older(folder: Path) -> Path:
    """The chart of a version that knows no `spec.version`."""
    made = folder / "cais"
    shutil.copytree(chart.CHART, made)
    path = made / "files" / "registries.cais.dev.yaml"
    definition = yaml.safe_load(path.read_text())
    (version,) = definition["spec"]["versions"]
    schema = version["schema"]["openAPIV3Schema"]["properties"]
    del schema["spec"]["properties"]["version"]
    path.write_text(yaml.safe_dump(definition, sort_keys=False))
    about = (made / "Chart.yaml").read_text()
    (made / "Chart.yaml").write_text(about.replace("version: 0.1.0", "version: 0.0.9"))
    return made


@pytest.fixture
def restored(place: Place) -> Iterator[None]:
    """The API server is shared: the CRDs stay as they were."""
    yield
    definition = yaml.safe_load((DEFINITIONS / "registries.cais.dev.yaml").read_text())
    place.api.merge(CRD, {"spec": {"versions": definition["spec"]["versions"]}})
    wait_for(lambda: in_schema(place), "the CRD is the newest again")


def knows(place: Place) -> bool:
    """Whether the API server keeps the new field of a Registry that is written now."""
    path = f"{place.path('Registry', 'team')}?dryRun=All"
    answer: dict[str, Any] = place.api.merge(path, PINNED)
    return "version" in answer["spec"]


def in_schema(place: Place) -> bool:
    found = place.api.find(CRD) or {}
    schema = found["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
    return "version" in schema["spec"]["properties"]


@pytest.mark.usefixtures("restored")
def test_the_crds_are_upgraded_with_the_release_and_go_back_with_it(
    place: Place, tmp_path: Path
) -> None:
    where = ("--namespace", place.system, "--kubeconfig", str(place.api.kubeconfig))
    values = ("--set", "image.registry.tag=0.1.0", "--take-ownership", "--force-conflicts")
    helm("install", "cais", str(older(tmp_path)), *where, *values)
    wait_for(lambda: not in_schema(place), "the CRD is the older one")
    place.create_registry({"quota": "1Gi"})
    before = place.get("Registry", "team")
    assert before is not None
    wait_for(lambda: not knows(place), "the new field is not known")

    helm(*typed("upgrade", place))
    wait_for(lambda: knows(place), "the new field is known")
    place.api.merge(place.path("Registry", "team"), PINNED)

    helm(*typed("rollback", place))
    wait_for(lambda: not knows(place), "the older CRD is back")
    after = place.get("Registry", "team")
    assert after is not None
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert after["spec"] == before["spec"]  # the new field is not shown, and what was there is

    helm("uninstall", "cais", *where)
    assert place.get("Registry", "team") is not None
