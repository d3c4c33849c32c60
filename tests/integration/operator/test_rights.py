# SPDX-License-Identifier: Apache-2.0
"""The operator gets along with the rights that manifests/install.yaml gives it."""

from pathlib import Path

from support.apiserver import ApiServer, wait_for
from support.operators import CHILDREN, Place, new_place, operator
from support.rights import SYSTEM, grant, refused

DECLARED = {"name": "ci", "passwordSecretRef": {"name": "given"}}
RULE = {
    "serviceAccounts": [{"namespace": "builds"}],
    "repositories": ["**"],
    "actions": ["pull"],
}


def test_nothing_that_the_operator_does_is_forbidden(api: ApiServer, tmp_path: Path) -> None:
    kubeconfig = grant(api, tmp_path)
    fresh = new_place(api)
    place = Place(api=api, team=fresh.team, system=SYSTEM)
    with operator(place, tmp_path, f"--kubeconfig={kubeconfig}") as running:
        body = {"metadata": {"name": "given"}, "stringData": {"password": "one-of-mine"}}
        api.request("POST", place.path("Secret"), body)
        place.create_registry({"access": {"users": [DECLARED], "rules": [RULE]}})
        place.wait_complete()
        wait_for(lambda: place.condition("IdentitiesReady").get("status") == "True", "the keys")
        place.delete("Deployment", "team")
        place.api.merge(place.path("ConfigMap", "team-ca"), {"data": {"ca.crt": "x"}})
        place.api.merge(place.path("Secret", "team-pull"), {"data": {"username": "eA=="}})
        wait_for(lambda: place.get("Deployment", "team"), "the Deployment is back")
        wait_for(
            lambda: (place.get("ConfigMap", "team-ca") or {})["data"]["ca.crt"] != "x", "the CA"
        )
        wait_for(lambda: place.secret("team-pull", "username") == "pull", "the pull Secret")
        wait_for(lambda: place.all("Event"), "an Event")
        path = place.path("Registry", "team")
        api.merge(path, {"metadata": {"annotations": {"cais.dev/gc": "soon"}}})
        wait_for(
            lambda: "annotations" not in (place.get("Registry", "team") or {})["metadata"],
            "the annotation is taken off",
        )
        running.process.terminate()
        assert running.process.wait(30) == 0
    assert len(CHILDREN) > len(place.missing()) == 0
    assert refused(api) == []
