# SPDX-License-Identifier: Apache-2.0
"""Desired objects are what the API server stores: it changes and drops nothing that we ask for."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

import golden
from support.definitions import served
from support.foreign_kinds import FOREIGN, FOREIGN_KINDS
from support.operators import PATHS, Place


def _differences(wanted: Any, live: Any, path: str) -> Iterator[str]:
    """What of `wanted` is not, or is otherwise, in `live`."""
    if isinstance(wanted, dict) and isinstance(live, dict):
        for key, value in wanted.items():
            yield from _differences(value, live.get(key), f"{path}.{key}")
    elif isinstance(wanted, list) and isinstance(live, list) and len(wanted) == len(live):
        for at, value in enumerate(wanted):
            yield from _differences(value, live[at], f"{path}[{at}]")
    elif wanted != live or type(wanted) is not type(live):
        yield f"{path}: wanted {wanted!r}, stored {live!r}"


def _manifests(case: Path, place: Place) -> Iterator[dict[str, Any]]:
    for manifest in golden.manifests(case):
        metadata = {**manifest["metadata"], "namespace": place.team}
        metadata.pop("ownerReferences", None)  # of a Registry that does not exist here
        yield {**manifest, "metadata": metadata}


@pytest.mark.parametrize("case", golden.cases(), ids=lambda case: case.name)
def test_the_api_server_stores_what_we_ask_for(case: Path, place: Place) -> None:
    with ExitStack() as stack:
        manifests = list(_manifests(case, place))
        if any(manifest["apiVersion"] in FOREIGN for manifest in manifests):
            for definition in FOREIGN_KINDS:
                stack.enter_context(served(place.api, definition))
        _check_stored(manifests, place)


def _check_stored(manifests: list[dict[str, Any]], place: Place) -> None:
    for manifest in manifests:
        path = f"{PATHS[manifest['kind']].format(place.team)}/{manifest['metadata']['name']}"
        live = place.api.apply(path, manifest)
        assert list(_differences(manifest, live, manifest["kind"])) == []
        place.api.apply(path, manifest)  # a claim is stored anew by its second apply, unchanged
        versions = {_version(place.api.apply(path, manifest)) for _ in range(2)}
        assert len(versions) == 1


def _version(live: dict[str, Any]) -> str:
    found: str = live["metadata"]["resourceVersion"]
    return found
