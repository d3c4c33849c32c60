# SPDX-License-Identifier: Apache-2.0
"""What others write into children stays theirs: nobody takes it away, and nobody writes twice."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from cais_operator.cluster import CHILD_KINDS, OPTIONAL_KINDS, kind_of
from cais_operator.installation import NAME
from support.apiserver import ApiServer, wait_for
from support.crd_storage_cases import bucket
from support.definitions import served
from support.foreign_kinds import FOREIGN_KINDS
from support.operators import Operator, Place, holds, new_place, operator

EDGE = {"parentRefs": [{"name": "edge", "namespace": "gateways"}]}
SPECS: dict[str, dict[str, Any]] = {
    "team": {
        "access": {"users": [{"name": "ci"}]},
        "expose": {
            "type": "Ingress",
            "hostnames": ["team.example.com"],
            "ingress": {"className": "nginx"},
        },
    },
    "big": {
        **bucket(),
        "expose": {"type": "Gateway", "hostnames": ["big.example.com"], "gateway": EDGE},
    },
    "asked": {"tls": {"certManager": {"issuerRef": {"name": "someone"}}}},
}
LABELS = {"example.com/team": "blue"}
NOTES = {"example.com/note": "theirs", "prometheus.io/scrape": "true"}
INJECTED = {"metadata": {"annotations": {"sidecar.istio.io/inject": "false"}}}
MORE: dict[str, dict[str, Any]] = {
    "Deployment": {"spec": {"template": INJECTED}},
    "CronJob": {"spec": {"jobTemplate": {"spec": {"template": INJECTED}}}},
    "ServiceAccount": {"imagePullSecrets": [{"name": "mirror"}]},
    "Service": {"spec": {"sessionAffinity": "ClientIP"}},
}
SCALED = {"spec": {"replicas": 3}}
VERSION = "app.kubernetes.io/version"

Child = tuple[str, str]


@pytest.fixture
def complete(api: ApiServer, tmp_path: Any) -> Iterator[tuple[Place, Operator]]:
    """A child of every kind, and an operator that looks after them."""
    place = new_place(api)
    with ExitStack() as stack:
        for kind in FOREIGN_KINDS:
            stack.enter_context(served(api, kind))
        running = stack.enter_context(operator(place, tmp_path, "--resync=1"))
        place.give_backend()
        for name, spec in SPECS.items():
            place.create_registry(spec, name)
        wanted = {kind.name for kind in (*CHILD_KINDS, *OPTIONAL_KINDS)} - {"Job"}
        wait_for(lambda: {kind for kind, _ in place.ours()} == wanted, f"one of each of {wanted}")
        place.wait_complete()
        yield place, running


def body_of(kind: str, name: str) -> dict[str, Any]:
    """What another manager applies."""
    metadata = {"name": name, "labels": LABELS, "annotations": NOTES}
    known = {"apiVersion": kind_of(kind).api_version, "kind": kind, "metadata": metadata}
    return {**known, **MORE.get(kind, {})}


def lost(place: Place, children: set[Child]) -> list[Child]:
    """Those in which something of another manager's is not there any more."""
    return [
        one
        for one in sorted(children)
        if not holds(place.get(*one), body_of(*one))
        or (one == ("Deployment", "big") and not holds(place.get(*one), SCALED))
    ]


def written(place: Place) -> list[tuple[str, str, str]]:
    """What was written but for status and events."""
    return [one for one in place.writes() if one[1] not in ("registries", "events")]


def test_what_others_apply_to_children_stays_and_is_not_fought_over(
    complete: tuple[Place, Operator],
) -> None:
    place, running = complete
    wait_for(lambda: _is_still(place, running), "nothing more is written")
    children = {one for one in place.ours() if one[1] != NAME}
    before = len(written(place))
    for one in children:
        place.api.apply(place.path(*one), body_of(*one), manager="gitops")
    place.api.merge(place.path("Deployment", "big") + "/scale", SCALED)
    running.wait_looked_again(3 * len(SPECS))
    assert written(place)[before:] == []
    assert lost(place, children) == []

    # what is repaired is ours alone, once
    for one in children:
        place.api.merge(place.path(*one), {"metadata": {"labels": {VERSION: "0"}}})
    wait_for(lambda: not _edited(place, children), "our label is put right on every child")
    running.wait_looked_again(3 * len(SPECS))
    assert len(written(place)) == before + len(children)
    assert lost(place, children) == []


def _is_still(place: Place, running: Operator) -> bool:
    before = written(place)
    running.wait_looked_again(3 * len(SPECS))
    return written(place) == before


def _edited(place: Place, children: set[Child]) -> list[Child]:
    found = {one: (place.get(*one) or {})["metadata"]["labels"].get(VERSION) for one in children}
    return [one for one, version in found.items() if version == "0"]
