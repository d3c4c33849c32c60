# SPDX-License-Identifier: Apache-2.0
"""A claim of a Registry's name that is somebody else's: told, never touched, and not in the way."""

from collections.abc import Iterator
from typing import Any

import pytest

from support.apiserver import ApiServer, wait_for
from support.operators import Place, new_place, operator

SIZE = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "10Gi"}}}
STRANGERS: dict[str, dict[str, Any]] = {
    "of-nobody": {},
    "of-another-registry": {
        "labels": {
            "app.kubernetes.io/managed-by": "cais-operator",
            "app.kubernetes.io/instance": "another",
        },
        "annotations": {"cais.dev/registry": "another"},
    },
    "of-another-owner": {"labels": {"app.kubernetes.io/managed-by": "Helm"}},
}


@pytest.fixture(scope="module")
def looking(api: ApiServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Where an operator looks at each Registry again after a second."""
    place = new_place(api)
    with operator(place, tmp_path_factory.mktemp("operator"), "--resync=1"):
        yield place


def owner(place: Place) -> dict[str, Any]:
    """An object that another one's claim belongs to; without it that would be collected."""
    path = place.path("ConfigMap")
    made = place.api.request("POST", path, {"metadata": {"name": "their-application"}})
    name, uid = made["metadata"]["name"], made["metadata"]["uid"]
    return {"apiVersion": "v1", "kind": "ConfigMap", "name": name, "uid": uid, "controller": True}


def make_claim(place: Place, registry: str, metadata: dict[str, Any]) -> str:
    """Make one of the name that the Registry's has; return its version."""
    body = {"metadata": {"name": f"{registry}-data", **metadata}, "spec": SIZE}
    made = place.api.request("POST", place.path("PersistentVolumeClaim"), body)
    return str(made["metadata"]["resourceVersion"])


def version(place: Place, registry: str) -> str:
    live = place.get("PersistentVolumeClaim", f"{registry}-data") or {}
    return str(live["metadata"]["resourceVersion"])


def remove_claim(place: Place, registry: str) -> None:
    name = f"{registry}-data"
    no_protection = {"metadata": {"finalizers": None}}  # its controller does not run
    place.api.merge(place.path("PersistentVolumeClaim", name), no_protection)
    place.delete("PersistentVolumeClaim", name)


def is_served(place: Place, registry: str) -> bool:
    return place.get("Deployment", registry) is not None and not place.condition(
        "Stalled", registry
    )


@pytest.mark.parametrize("name", STRANGERS)
def test_a_claim_of_somebody_else_is_refused_untouched_and_taken_when_it_is_free(
    looking: Place, name: str
) -> None:
    metadata = dict(STRANGERS[name])
    if name == "of-another-owner":
        metadata["ownerReferences"] = [owner(looking)]
    before = make_claim(looking, name, metadata)
    looking.create_registry(name=name)
    stalled = wait_for(lambda: looking.condition("Stalled", name), "Stalled")
    assert f"the claim {name}-data exists and is not of this Registry" in stalled["message"]
    assert "spec.storage.volume.existingClaim" in stalled["message"]
    assert looking.condition("Ready", name)["status"] == "False"

    def told() -> list[dict[str, Any]]:
        found = (one for one in looking.all("Event") if one["involvedObject"]["name"] == name)
        return [one for one in found if one["message"] == stalled["message"]]

    (event,) = wait_for(told, "an Event")
    assert event["type"] == "Warning"
    looking.wait_looked_again(2, name)
    assert version(looking, name) == before
    assert looking.get("Deployment", name) is None  # nothing is made beside it

    remove_claim(looking, name)
    wait_for(lambda: is_served(looking, name), "the Registry has a claim and a server")
    mine = (looking.get("PersistentVolumeClaim", f"{name}-data") or {})["metadata"]
    assert mine["labels"]["app.kubernetes.io/instance"] == name


def test_a_claim_of_somebody_else_is_used_by_a_registry_that_names_it(looking: Place) -> None:
    before = make_claim(looking, "brought", {})
    looking.create_registry(name="brought")
    wait_for(lambda: looking.condition("Stalled", "brought"), "Stalled")
    looking.delete("Registry", "brought")  # as the message says
    looking.create_registry({"storage": {"volume": {"existingClaim": "brought-data"}}}, "brought")
    wait_for(lambda: is_served(looking, "brought"), "the Registry has a server")
    looking.wait_looked_again(1, "brought")
    assert version(looking, "brought") == before


def test_a_claim_that_is_restored_for_a_registry_is_taken(looking: Place) -> None:
    make_claim(looking, "restored", {"annotations": {"cais.dev/registry": "restored"}})
    uid = (looking.get("PersistentVolumeClaim", "restored-data") or {})["metadata"]["uid"]
    looking.create_registry(name="restored")
    wait_for(lambda: is_served(looking, "restored"), "the Registry has a server")
    live = (looking.get("PersistentVolumeClaim", "restored-data") or {})["metadata"]
    assert live["uid"] == uid
    assert live["labels"]["app.kubernetes.io/instance"] == "restored"
