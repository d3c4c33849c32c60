# SPDX-License-Identifier: Apache-2.0
"""The rights that manifests/install.yaml gives the operator, and what was refused to it."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from support.api_certificates import client_certificate
from support.apiserver import ApiServer, write_kubeconfig

INSTALL = Path(__file__).parents[2] / "manifests/install.yaml"
SYSTEM = "cais-system"
USER = f"system:serviceaccount:{SYSTEM}:cais-operator"
RBAC = "/apis/rbac.authorization.k8s.io/v1"


def grant(api: ApiServer, folder: Path) -> Path:
    """Apply roles and bindings; return a kubeconfig of the operator's user."""
    api.request("POST", "/api/v1/namespaces", {"metadata": {"name": SYSTEM}})
    apply_roles(api, yaml.safe_load_all(INSTALL.read_text()))
    return user_of(api, folder)


def apply_roles(api: ApiServer, documents: Iterable[Mapping[str, Any]]) -> None:
    """Apply what the chart has of roles and bindings; their namespaces have to be there."""
    for one in documents:
        plural = f"{one['kind'].lower()}s"
        if one["kind"] in ("ClusterRole", "ClusterRoleBinding"):
            api.request("POST", f"{RBAC}/{plural}", one)
        elif one["kind"] in ("Role", "RoleBinding"):
            place = one["metadata"]["namespace"]
            api.request("POST", f"{RBAC}/namespaces/{place}/{plural}", one)


def user_of(api: ApiServer, folder: Path) -> Path:
    """A kubeconfig of the operator's user."""
    client_certificate(api.folder, folder, "operator", USER)
    return write_kubeconfig(api, folder, "operator")


def refused(api: ApiServer) -> list[str]:
    """Requests that the operator had no right to; in a namespace that goes away nobody creates."""
    return [
        json.dumps([one["verb"], one["requestURI"]])
        for one in api.audit()
        if one["user"]["username"] == USER and one["responseStatus"]["code"] == 403
        if one["annotations"]["authorization.k8s.io/decision"] == "forbid"
    ]
