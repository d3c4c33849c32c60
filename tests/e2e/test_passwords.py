# SPDX-License-Identifier: Apache-2.0
"""Users, passwords and rules change under traffic; nobody is refused who may, and all who may not.

The traffic is that of a raw client: RATES images each second, every request on a connection of its
own and sent once.
"""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from e2e.changes import AIM, BUSY, may_pull, password, status, took
from e2e.kit import Tenant, until
from e2e.traffic import RATES, Load, steady

OVERLAP = "30s"


def access(*actions: str) -> dict[str, Any]:
    rule = {"users": ["ci"], "repositories": ["load/**", "kept/**"], "actions": [*actions]}
    return {"users": [{"name": "ci"}], "rules": [rule], "rotationOverlap": OVERLAP}


def test_users_passwords_and_rules_change_under_traffic_without_a_failed_request(
    tenant: Tenant, tmp_path: Path
) -> None:
    tenant.apply()
    tenant.wait_ready()
    tenant.log_in_as_admin()
    tenant.push("kept/app:stays")
    pod = tenant.pod()
    times = {}
    with steady(tenant, tmp_path / "admin") as load:
        load.wait_for("push", "ok")
        times["user added"] = took(
            lambda: tenant.apply(access=access("pull", "push")),
            lambda: bool(password(tenant)) and may_pull(tenant, f"ci:{password(tenant)}"),
        )
        old, new = rotate_under_traffic(tenant, tmp_path / "old")
        with steady(tenant, tmp_path / "new", f"ci:{new}") as narrowed:
            narrowed.wait_for("push", "ok")
            tenant.apply(access=access("pull"))
            accepted = time.time()
            narrowed.wait_for("push", "RefusedError: 403")
            narrowed.wait_for("pull", "ok")
        times["rule narrowed"] = last_push(narrowed) - accepted
        assert {line["what"] for line in narrowed.failed()} == {"push"}
        assert all(line["ended"] > accepted - 1 for line in narrowed.failed())
        until(lambda: status(tenant, f"ci:{old}"), lambda code: code == 401)
        assert status(tenant, f"ci:{new}") == 200
        times["user removed"] = took(
            lambda: tenant.apply(access={"users": [], "rules": []}),
            lambda: status(tenant, f"ci:{new}") == 401,
        )
        until(lambda: tenant.get("secret", "team-user-ci"), lambda found: found is None)
        load.wait_for("push", "ok")
    report(load, times)
    after = tenant.pod()
    assert after["metadata"]["uid"] == pod["metadata"]["uid"]
    assert after["status"]["containerStatuses"][0]["restartCount"] == 0


def rotate_under_traffic(tenant: Tenant, folder: Path) -> tuple[str, str]:
    """Rotate while clients use the old password; the new one works as soon as it can be read."""
    old = password(tenant)
    with steady(tenant, folder, f"ci:{old}") as load:
        load.wait_for("push", "ok")
        tenant.kubectl("annotate", "registry", "team", "cais.dev/rotate=ci")
        new = until(lambda: password(tenant), lambda found: found not in {"", old})
        assert status(tenant, f"ci:{new}") == 200
        load.wait_for("pull", "ok")
    assert load.failed() == []
    events = tenant.kubectl("get", "events", "--field-selector", "reason=PasswordRotated")
    assert "team-user-ci has a new password" in events
    return old, new


def last_push(load: Load) -> float:
    """When the last push that went well began."""
    return max(float(line["at"]) for line in load.lines() if is_pushed(line))


def is_pushed(line: Mapping[str, Any]) -> bool:
    return (line["what"], line["outcome"]) == ("push", "ok")


def report(load: Load, times: dict[str, float]) -> None:
    shown = ", ".join(f"{what} {seconds:.1f} s" for what, seconds in times.items())
    count = len(load.lines())
    print(f"effect after {shown}; {RATES} each second beside it: {count}, 0 failed")  # noqa: T201  # the figures are the point
    assert load.failed() == []
    assert count > 20
    assert max(times.values()) < AIM * BUSY, times
