# SPDX-License-Identifier: Apache-2.0
"""The way from one stored version of a kind to the next, as docs/crd-versions.md has it.

A stand-in: our own definition under another group, with a second version.
"""

import copy
import json
import urllib.error
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.apiserver import ApiServer, wait_for
from support.definitions import DEFINITIONS, served

CRD = Path(__file__).parents[3] / "crds/registries.cais.dev.yaml"
GROUP = "stand-in.cais.dev"
NAME = f"registries.{GROUP}"
OLD, NEW = "v1alpha1", "v1beta1"


@pytest.fixture
def definition(api: ApiServer) -> Iterator[dict[str, Any]]:
    made: dict[str, Any] = yaml.safe_load(CRD.read_text())
    made["metadata"] = {"name": NAME}
    made["spec"]["group"] = GROUP
    made["spec"]["names"] = {"kind": "StandIn", "plural": "registries", "singular": "standin"}
    with served(api, made):
        yield made


def _path(version: str, name: str = "") -> str:
    path = f"/apis/{GROUP}/{version}/namespaces/default/registries"
    return f"{path}/{name}" if name else path


def _set_versions(api: ApiServer, *versions: dict[str, Any]) -> None:
    api.merge(f"{DEFINITIONS}/{NAME}", {"spec": {"versions": list(versions)}})


def _stored(api: ApiServer) -> list[str]:
    found: list[str] = api.request("GET", f"{DEFINITIONS}/{NAME}")["status"]["storedVersions"]
    return found


def _written_anew(api: ApiServer, version: str, name: str) -> bool:
    """Replace an object by itself; whether the API server had to write it."""
    before = api.request("GET", _path(version, name))
    after = api.request("PUT", _path(version, name), before)
    same = ("uid", "generation", "creationTimestamp")
    assert [after["metadata"][key] for key in same] == [before["metadata"][key] for key in same]
    assert (after["spec"], after["status"]) == (before["spec"], before["status"])
    return bool(after["metadata"]["resourceVersion"] != before["metadata"]["resourceVersion"])


def test_a_new_version_is_served_then_stored_and_the_old_one_goes_when_nothing_is_stored_in_it(
    api: ApiServer, definition: dict[str, Any]
) -> None:
    specs = {"one": {}, "two": {"storage": {"volume": {"size": "20Gi"}}, "quota": "5Gi"}}
    for name, spec in specs.items():
        body = {"apiVersion": f"{GROUP}/{OLD}", "kind": "StandIn", "metadata": {"name": name}}
        api.request("POST", _path(OLD), {**body, "spec": spec})
        status = {"status": {"observedGeneration": 1, "url": "https://here"}}
        api.merge(f"{_path(OLD, name)}/status", status)
    (old,) = definition["spec"]["versions"]
    new = {**copy.deepcopy(old), "name": NEW}

    # served beside the old one, which is stored
    _set_versions(api, old, {**new, "storage": False})
    wait_for(lambda: api.find(_path(NEW)), "the new version is served")
    before = api.request("GET", _path(OLD, "two"))
    assert api.request("GET", _path(NEW, "two"))["spec"] == before["spec"]
    assert [_written_anew(api, NEW, name) for name in specs] == [False, False]

    # stored from now on; what is there stays as it was stored, and readable in both
    _set_versions(api, {**old, "storage": False}, new)
    wait_for(lambda: _stored(api) == [OLD, NEW], "both may be stored")
    with pytest.raises(urllib.error.HTTPError) as caught:
        _set_versions(api, new)
    assert "storedVersions" in json.load(caught.value)["message"]

    # every object is written anew once, without a change, and the list is trimmed
    wait_for(lambda: _written_anew(api, NEW, "one"), "the first object is stored anew")
    assert _written_anew(api, NEW, "two")
    assert [_written_anew(api, NEW, name) for name in specs] == [False, False]
    api.merge(f"{DEFINITIONS}/{NAME}/status", {"status": {"storedVersions": [NEW]}})

    # deprecated, then no longer served, then gone
    _set_versions(api, {**old, "storage": False, "served": False}, new)
    wait_for(lambda: api.find(_path(OLD)) is None, "the old version is not served")
    _set_versions(api, new)
    after = api.request("GET", _path(NEW, "two"))
    assert (after["spec"], after["metadata"]["uid"]) == (before["spec"], before["metadata"]["uid"])
    assert _stored(api) == [NEW]
