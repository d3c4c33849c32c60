# SPDX-License-Identifier: Apache-2.0
"""The operator gets along with the rights that manifests/install.yaml gives it."""

import json
from pathlib import Path

import yaml

from support.apiserver import ApiServer, client_certificate, wait_for, write_kubeconfig
from support.operators import CHILDREN, Place, new_place, operator

INSTALL = Path(__file__).parents[3] / "manifests/install.yaml"
SYSTEM = "cais-system"
USER = f"system:serviceaccount:{SYSTEM}:cais-operator"
RBAC = "/apis/rbac.authorization.k8s.io/v1"
DECLARED = {"name": "ci", "passwordSecretRef": {"name": "given"}}
RULE = {
    "serviceAccounts": [{"namespace": "builds"}],
    "repositories": ["**"],
    "actions": ["pull"],
}


def grant(api: ApiServer) -> None:
    api.request("POST", "/api/v1/namespaces", {"metadata": {"name": SYSTEM}})
    for one in yaml.safe_load_all(INSTALL.read_text()):
        plural = f"{one['kind'].lower()}s"
        if one["kind"] in ("ClusterRole", "ClusterRoleBinding"):
            api.request("POST", f"{RBAC}/{plural}", one)
        elif one["kind"] in ("Role", "RoleBinding"):
            api.request("POST", f"{RBAC}/namespaces/{SYSTEM}/{plural}", one)


def test_nothing_that_the_operator_does_is_forbidden(api: ApiServer, tmp_path: Path) -> None:
    grant(api)
    fresh = new_place(api)
    place = Place(api=api, team=fresh.team, system=SYSTEM)
    client_certificate(api.folder, tmp_path, "operator", USER)
    kubeconfig = write_kubeconfig(api, tmp_path, "operator")
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
    refused = [
        json.dumps([one["verb"], one["requestURI"]])
        for one in api.audit()
        if one["user"]["username"] == USER and one["responseStatus"]["code"] == 403
    ]
    assert refused == []
