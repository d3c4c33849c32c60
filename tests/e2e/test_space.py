# SPDX-License-Identifier: Apache-2.0
"""Pushes and pulls go on beside everything that makes or takes room."""

import json
import os
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from e2e.kit import Tenant, condition, until
from e2e.traffic import RATES, Load, steady

REFUSALS = ("403", "507")  # over the quota; the disk is full


def patch(tenant: Tenant, spec: Mapping[str, Any]) -> None:
    tenant.kubectl("patch", "registry", "team", "--type=merge", "-p", json.dumps({"spec": spec}))


def look(tenant: Tenant) -> dict[str, Any]:
    """Let the operator look now and not at its next resync; return what it says."""
    now = f"e2e/look={time.time_ns()}"
    tenant.kubectl("annotate", "--overwrite", "registry", "team", now)
    return tenant.get("registry", "team") or {}


def collections(tenant: Tenant) -> str:
    found = (tenant.get("registry", "team") or {}).get("status", {}).get("garbageCollection", {})
    return str(found.get("lastRunTime", ""))


def collect(tenant: Tenant) -> None:
    before = collections(tenant)
    tenant.kubectl("annotate", "registry", "team", "cais.dev/gc=now")
    until(lambda: collections(tenant), lambda time: time != before)


def tags(tenant: Tenant) -> set[str]:
    user = "admin:" + tenant.secret("team-admin", "password")
    return set(tenant.ask("/v2/load/app/tags/list", user=user)[1].get("tags") or ())


def fill(tenant: Tenant, folder: Path) -> None:
    """Push a layer that leaves less than the reserve."""
    (folder / "big").write_bytes(os.urandom(60 << 20))
    tenant.cluster.must("tar", "-C", str(folder), "-cf", f"{folder}/big.tar", "big")
    target = f"{tenant.address}/load/big:1"
    append = ["crane", "append", "--oci-empty-base", "-f", f"{folder}/big.tar", "-t", target]
    tenant.cluster.must(*append, beside=True)


def test_nothing_fails_beside_collection_retention_quota_growth_and_a_full_disk(
    tenant: Tenant, tmp_path: Path
) -> None:
    tenant.apply(storage={"volume": {"size": "128Mi"}})
    tenant.wait_ready()
    tenant.log_in_as_admin()
    tenant.push("kept/app:stays")
    pod = tenant.pod()["metadata"]["uid"]
    with steady(tenant, tmp_path) as load:
        load.wait_for("push", "ok")
        collect(tenant)

        patch(tenant, {"retention": [{"repositories": ["load/**"], "keepLast": 3}]})
        tenant.wait_ready()
        load.wait_for("push", "ok")
        gone = tags(tenant)
        collect(tenant)
        until(lambda: tags(tenant) & gone, lambda left: len(left) <= 3)

        patch(tenant, {"quota": "1Ki"})
        load.wait_for("push", "RefusedError: 403")
        patch(tenant, {"quota": None})
        load.wait_for("push", "ok")

        patch(tenant, {"retention": None})
        fill(tenant, tmp_path)
        fill_rest(tenant, load, tmp_path)
        until(lambda: look(tenant), is_under_pressure)
        collect(tenant)
        patch(tenant, {"storage": {"volume": {"size": "256Mi"}}})
        load.wait_for("push", "ok")
        until(
            lambda: condition(look(tenant), "StoragePressure"),
            lambda found: found.get("status") == "False",
        )
    assert tenant.pod()["metadata"]["uid"] == pod
    report(load)


def fill_rest(tenant: Tenant, load: Load, folder: Path) -> None:
    """Push layers until one is refused, and so are those of others."""
    command = ["crane", "append", "--oci-empty-base", "-f", f"{folder}/rest.tar", "-t"]

    def push() -> int:
        (folder / "rest").write_bytes(os.urandom(6 << 20))
        tenant.cluster.must("tar", "-C", str(folder), "-cf", f"{folder}/rest.tar", "rest")
        return tenant.cluster.run(*command, f"{tenant.address}/load/rest:1", beside=True).code

    until(push, lambda code: code != 0)
    load.wait_for("push", "RefusedError: 507")


def is_under_pressure(registry: Mapping[str, Any]) -> bool:
    pressed = condition(registry, "StoragePressure").get("status") == "True"
    return pressed and condition(registry, "Writable").get("status") == "False"


def report(load: Load) -> None:
    """Every pull is good; every push is good or refused by a rule, in words."""
    outcomes = Counter(
        (line["what"], "ok" if line["outcome"] == "ok" else line["outcome"][:17])
        for line in load.lines()
    )
    print(f"beside all of it, {RATES} each second: {dict(outcomes)}")  # noqa: T201  # the figure is the point
    allowed = {("pull", "ok"), ("push", "ok")}
    allowed |= {("push", f"RefusedError: {status}"[:17]) for status in REFUSALS}
    assert set(outcomes) <= allowed, [line for line in load.lines() if line["outcome"] != "ok"][:5]
    assert min(outcomes["pull", "ok"], outcomes["push", "ok"]) > 20
