# SPDX-License-Identifier: Apache-2.0
"""The rights that manifests/install.yaml gives the operator, and what was refused to it."""

import json
from pathlib import Path

import yaml

from support.apiserver import ApiServer, client_certificate, write_kubeconfig

INSTALL = Path(__file__).parents[2] / "manifests/install.yaml"
SYSTEM = "cais-system"
USER = f"system:serviceaccount:{SYSTEM}:cais-operator"
RBAC = "/apis/rbac.authorization.k8s.io/v1"


def grant(api: ApiServer, folder: Path) -> Path:
    """Apply roles and bindings; return a kubeconfig of the operator's user."""
    api.request("POST", "/api/v1/namespaces", {"metadata": {"name": SYSTEM}})
    for one in yaml.safe_load_all(INSTALL.read_text()):
        plural = f"{one['kind'].lower()}s"
        if one["kind"] in ("ClusterRole", "ClusterRoleBinding"):
            api.request("POST", f"{RBAC}/{plural}", one)
        elif one["kind"] in ("Role", "RoleBinding"):
            api.request("POST", f"{RBAC}/namespaces/{SYSTEM}/{plural}", one)
    client_certificate(api.folder, folder, "operator", USER)
    return write_kubeconfig(api, folder, "operator")


def refused(api: ApiServer) -> list[str]:
    """Requests of the operator that the API server answered with 403."""
    return [
        json.dumps([one["verb"], one["requestURI"]])
        for one in api.audit()
        if one["user"]["username"] == USER and one["responseStatus"]["code"] == 403
    ]
