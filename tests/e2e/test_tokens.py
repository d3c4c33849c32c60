# SPDX-License-Identifier: Apache-2.0
"""Who is sent to the token endpoint, and who pulls without it."""

import json
from typing import Any

from e2e.kit import Tenant, until
from e2e.pods import pod


def requests(tenant: Tenant, client: str) -> list[dict[str, Any]]:
    """What the server's log says of a client's requests, by a word of its User-Agent."""
    printed = tenant.kubectl("logs", f"deployment/{tenant.name}").splitlines()
    lines = [json.loads(line) for line in printed if line.startswith("{")]
    return [line for line in lines if client in str(line.get("user_agent"))]


def test_clients_by_name_get_tokens_and_nodes_by_address_send_their_password(
    tenant: Tenant,
) -> None:
    tenant.apply()
    tenant.wait_ready()
    tenant.log_in_as_admin()
    tenant.push("app:1")

    def given(client: str) -> list[str]:
        found = [line for line in requests(tenant, client) if line["path"] == "/token"]
        return [line["user"] for line in found if line["status"] == 200]

    until(lambda: given("docker/"), bool)
    assert set(until(lambda: given("go-containerregistry"), bool)) == {"admin"}

    secret = [{"name": "team-pull"}]
    app = pod(f"{tenant.address}/app:1", tenant.namespace, imagePullSecrets=secret)
    assert tenant.cluster.apply(app).code == 0

    def pulled() -> list[str]:
        found = [line for line in requests(tenant, "containerd/") if line["status"] == 200]
        return [line["user"] for line in found if "/manifests/" in line["path"]]

    assert set(until(pulled, bool)) == {"pull"}
    assert given("containerd/") == []


def test_rotated_out_keys_end_tokens_and_clients_get_new_ones(tenant: Tenant) -> None:
    tenant.apply()
    tenant.wait_ready()
    tenant.log_in_as_admin()
    tenant.push("app:1")
    before = tenant.secret("team-token-keys", "keys")
    pod = tenant.pod()["metadata"]["uid"]
    tenant.kubectl("delete", "secret", "team-token-keys")
    until(lambda: tenant.get("secret", "team-token-keys"), bool)
    assert tenant.secret("team-token-keys", "keys") != before
    tenant.wait_ready()
    tenant.push("app:2")
    assert tenant.pod()["metadata"]["uid"] == pod
