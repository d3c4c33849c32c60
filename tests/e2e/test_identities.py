# SPDX-License-Identifier: Apache-2.0
"""A pod pushes with the token of its ServiceAccount; there is no password anywhere."""

import json
from typing import Any

import yaml

from demo.place import ROOT
from e2e.kit import Tenant, condition, until

SAMPLE = ROOT / "manifests/samples/push-job.yaml"


def sample(tenant: Tenant) -> dict[str, dict[str, Any]]:
    """The sample in the tenant's namespace, with the image that its registry runs."""
    text = SAMPLE.read_text().replace("team-a", tenant.namespace)
    found = {one["kind"]: one for one in yaml.safe_load_all(text)}
    (container,) = found["Job"]["spec"]["template"]["spec"]["containers"]
    container["image"] = tenant.pod()["spec"]["containers"][0]["image"]
    return found


def ended(tenant: Tenant, job: str) -> str:
    """How a Job ended: Complete or Failed; empty while it runs."""
    found = (tenant.get("job", job) or {}).get("status", {}).get("conditions") or []
    over = (one["type"] for one in found if one["status"] == "True")
    return next((kind for kind in over if kind in {"Complete", "Failed"}), "")


def test_a_pod_pushes_with_the_token_of_its_service_account(tenant: Tenant) -> None:
    tenant.apply()
    tenant.wait_ready()
    documents = sample(tenant)
    tenant.apply(access=documents["Registry"]["spec"]["access"])
    ready = tenant.wait_ready()
    assert condition(ready, "IdentitiesReady")["reason"] == "KeysRead"
    stranger = json.loads(json.dumps(documents["Job"]))
    stranger["metadata"]["name"] = "stranger"
    stranger["spec"]["backoffLimit"] = 0
    stranger["spec"]["template"]["spec"]["serviceAccountName"] = "default"
    for manifest in (documents["ServiceAccount"], documents["Job"], stranger):
        answer = tenant.cluster.apply(manifest)
        assert answer.code == 0, answer.err
    assert until(lambda: ended(tenant, "push"), bool) == "Complete"
    pushed = tenant.kubectl("logs", "job/push").strip()
    tenant.log_in_as_admin()
    assert tenant.digest("apps/hello:1") == pushed
    assert until(lambda: ended(tenant, "stranger"), bool) == "Failed"
    assert "403" in tenant.kubectl("logs", "job/stranger")
    audit = tenant.kubectl("logs", tenant.pod()["metadata"]["name"])
    assert f"system:serviceaccount:{tenant.namespace}:pusher" in audit
