# SPDX-License-Identifier: Apache-2.0
"""The operator gets along with the rights that manifests/install.yaml gives it."""

from pathlib import Path

from support.apiserver import ApiServer, wait_for
from support.children import CHILDREN
from support.operators import Place, new_place, operator
from support.rights import SYSTEM, grant, refused

DECLARED = {"name": "ci", "passwordSecretRef": {"name": "given"}}
RULE = {
    "serviceAccounts": [{"namespace": "builds"}],
    "repositories": ["**"],
    "actions": ["pull"],
}


def rotate_the_authority(place: Place) -> None:
    old = place.secret("cais-ca", "tls.crt", SYSTEM)
    asked = {"metadata": {"annotations": {"cais.dev/rotate": "now"}}}
    place.api.merge(place.path("Secret", "cais-ca", SYSTEM), asked)

    def is_replaced() -> bool:
        bundle = place.secret("cais-ca", "ca.crt", SYSTEM)
        live = (place.get("ConfigMap", "team-ca") or {})["data"]["ca.crt"]
        return old not in bundle and live == bundle

    wait_for(is_replaced, "the CA is replaced")
    path = place.path("Event", namespace=SYSTEM)
    reasons = {one["reason"] for one in place.api.request("GET", path)["items"]}
    assert "AuthorityRotated" in reasons


def test_nothing_that_the_operator_does_is_forbidden(api: ApiServer, tmp_path: Path) -> None:
    kubeconfig = grant(api, tmp_path)
    fresh = new_place(api)
    place = Place(api=api, team=fresh.team, system=SYSTEM)
    flags = (f"--kubeconfig={kubeconfig}", "--ca-overlap=1s")
    with operator(place, tmp_path, *flags) as running:
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
        rotate_the_authority(place)
        running.process.terminate()
        assert running.process.wait(30) == 0
    assert len(CHILDREN) > len(place.missing()) == 0
    assert refused(api) == []
