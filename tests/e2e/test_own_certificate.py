# SPDX-License-Identifier: Apache-2.0
"""A certificate that was brought, changed under pushes and pulls."""

from pathlib import Path
from typing import Any

from e2e.kit import Tenant, condition, is_ready, until
from e2e.traffic import steady
from support.issuing import PKCS1, Issuer, issued, issuer


def bring(tenant: Tenant, data: dict[str, str]) -> None:
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "own", "namespace": tenant.namespace},
        "type": "kubernetes.io/tls",
        "data": data,
    }
    answer = tenant.cluster.apply(secret)
    assert answer.code == 0, answer.err


def fresh(tenant: Tenant, root: Issuer) -> dict[str, str]:
    """A new certificate for the registry, with a key in the form that cert-manager writes."""
    return issued(root, f"team.{tenant.namespace}.svc", form=PKCS1)


def seen(tenant: Tenant) -> dict[str, Any]:
    return tenant.get("registry", "team") or {}


def sha256(registry: dict[str, Any]) -> str:
    return str(registry.get("status", {}).get("certificate", {}).get("sha256"))


def test_a_certificate_of_ones_own_changes_without_a_failed_request(
    tenant: Tenant, tmp_path: Path
) -> None:
    root = issuer()
    tenant.apply(tls={"secretRef": {"name": "own"}})
    bring(tenant, fresh(tenant, root))
    first = sha256(tenant.wait_ready())
    tenant.log_in_as_admin()
    tenant.push("kept/app:stays")
    pod = tenant.pod()
    with steady(tenant, tmp_path) as load:
        load.wait_for("pull", "ok")
        bring(tenant, fresh(tenant, root))
        until(lambda: seen(tenant), lambda one: sha256(one) != first and is_ready(one))
        load.wait_for("pull", "ok")
        bring(tenant, {"tls.crt": "Yg==", "tls.key": "Yg=="})
        until(
            lambda: condition(seen(tenant), "Stalled").get("reason"),
            lambda reason: reason == "Unparsable",
        )
        load.wait_for("pull", "ok")
        bring(tenant, fresh(tenant, root))
        tenant.wait_ready()
        load.wait_for("push", "ok")
    failed = [line for line in load.lines() if line["outcome"] != "ok"]
    assert failed == []
    assert tenant.pod()["metadata"]["uid"] == pod["metadata"]["uid"]
