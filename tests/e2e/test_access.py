# SPDX-License-Identifier: Apache-2.0
"""Users and rules against a running server."""

from typing import Any

from e2e.kit import Tenant, until

CI = {"users": [{"name": "ci"}]}


def rules(*actions: str) -> dict[str, Any]:
    return {**CI, "rules": [{"users": ["ci"], "repositories": ["apps/**"], "actions": [*actions]}]}


def test_user_and_rule_are_live_without_a_new_pod(settled: Tenant) -> None:
    tenant = settled
    tenant.push("apps/one:1")
    pod = tenant.pod()
    tenant.apply(access=rules("pull"))
    tenant.wait_ready()
    user = f"ci:{tenant.secret('team-user-ci', 'password')}"
    assert tenant.ask("/v2/apps/one/tags/list", user=user) == (
        200,
        {"name": "apps/one", "tags": ["1"]},
    )
    tenant.apply(access=CI)
    tenant.wait_ready()
    until(lambda: tenant.ask("/v2/apps/one/tags/list", user=user)[0], lambda status: status != 200)
    after = tenant.pod()
    assert after["metadata"]["uid"] == pod["metadata"]["uid"]
    assert after["status"]["containerStatuses"][0]["restartCount"] == 0


def test_wrong_password_is_refused_with_the_protocols_own_words(settled: Tenant) -> None:
    for user in ("admin:wrong", "nobody:x", ""):
        status, body = settled.ask("/v2/", user=user)
        assert status == 401
        assert body["errors"][0]["code"] == "UNAUTHORIZED"
        assert body["errors"][0]["message"]


def test_repository_out_of_reach_looks_like_one_that_is_not_there(settled: Tenant) -> None:
    tenant = settled
    tenant.apply(access=rules("pull", "push"))
    tenant.wait_ready()
    tenant.push("secret/one:1")
    user = f"ci:{tenant.secret('team-user-ci', 'password')}"
    there = tenant.ask("/v2/secret/one/tags/list", user=user)
    missing = tenant.ask("/v2/secret/two/tags/list", user=user)
    assert there[0] == missing[0]
    assert str(there[1]).replace("secret/one", "X") == str(missing[1]).replace("secret/two", "X")


def test_deleted_password_is_made_anew_and_the_old_one_ends(settled: Tenant) -> None:
    tenant = settled
    old = tenant.secret("team-admin", "password")
    tenant.kubectl("delete", "secret", "team-admin")

    def password() -> str:
        return tenant.secret("team-admin", "password") if tenant.get("secret", "team-admin") else ""

    new = until(password, lambda value: value not in {"", old})
    until(lambda: tenant.ask("/v2/", user=f"admin:{new}")[0], lambda status: status == 200)
    assert tenant.ask("/v2/", user=f"admin:{old}")[0] == 401
