# SPDX-License-Identifier: Apache-2.0
"""Pushes and pulls go on beside everything that makes or takes room."""

import hashlib
import json
import os
import time
from collections import Counter
from collections.abc import Mapping
from functools import partial
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


def push_layer(tenant: Tenant, folder: Path, kib: int) -> str:
    """Push a layer of so many KiB in one request; return the status."""
    file, content = folder / "layer", os.urandom(kib << 10)
    file.write_bytes(content)
    user = "admin:" + tenant.secret("team-admin", "password")
    authority = str(tenant.cluster.place.work / "ca.crt")
    command = ["curl", "--silent", "--show-error", "--cacert", authority, "--user", user]
    command += ["--output", "/dev/null", "--write-out", "%{http_code}"]
    command += ["--header", "Content-Type: application/octet-stream", "--data-binary", f"@{file}"]
    path = f"/v2/load/big/blobs/uploads/?digest=sha256:{hashlib.sha256(content).hexdigest()}"
    return tenant.cluster.must(*command, f"https://{tenant.address}{path}", beside=True)


def fill(tenant: Tenant, load: Load, folder: Path) -> None:
    """Push smaller and smaller layers until each size is refused, and so is what others push."""
    assert push_layer(tenant, folder, 60 << 10) == "201"
    for kib in (6 << 10, 512, 32):
        until(partial(push_layer, tenant, folder, kib), lambda status: status == "507")
    load.wait_for("push", "RefusedError: 507")


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
        fill(tenant, load, tmp_path)
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
