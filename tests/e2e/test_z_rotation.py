# SPDX-License-Identifier: Apache-2.0
"""All that is trusted changes under one pair of loops of pushes and pulls, and none of them fails.

The traffic is that of a raw client that sends each request once. Last of all the whole cluster gets
another CA.
"""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from e2e.changes import (
    AIM,
    BUSY,
    asked,
    login,
    may_pull,
    named,
    password,
    reason,
    status,
    took,
)
from e2e.kit import Cluster, Tenant, replace, until
from e2e.traffic import Load, steady

OVERLAP = 15  # seconds
KEPT = 6.0  # seconds for which clients use a bundle before they read it anew
SYSTEM = "cais-system"


@pytest.fixture
def short_overlap(cluster: Cluster) -> Iterator[None]:
    """The operator, with an overlap that a test can wait for."""
    set_overlap(cluster, f"{OVERLAP}s")
    yield
    set_overlap(cluster, "24h")


def set_overlap(cluster: Cluster, length: str) -> None:
    upgrade = ("helm", "upgrade", "cais", "charts/cais", "--namespace", SYSTEM, "--reuse-values")
    cluster.must(*upgrade, "--set", f"ca.overlap={length}")
    rollout = ("rollout", "status", "deployment/cais-operator", "--timeout=120s")
    cluster.kubectl("-n", SYSTEM, *rollout)


def authority(cluster: Cluster) -> dict[str, str]:
    """The CA's Secret: its data and annotations."""
    found = cluster.get("secret", "cais-ca", SYSTEM) or {}
    return {**found["data"], **(found["metadata"].get("annotations") or {})}


class Trust:
    """A client that reads the published bundle only now and then."""

    def __init__(self, tenant: Tenant) -> None:
        self._tenant = tenant
        self._file = tenant.cluster.place.work / "ca.crt"
        self._since = 0.0

    def follow(self) -> dict[str, str]:
        """Read the bundle if it is old; return the CA's Secret."""
        if time.monotonic() - self._since > KEPT:
            self._since = time.monotonic()
            replace(self._file, self._tenant.bundle())
        return authority(self._tenant.cluster)


@contextmanager
def unharmed(tenant: Tenant, folder: Path) -> Iterator[Load]:
    """Traffic, of which not one request may fail, to one pod."""
    tenant.apply()
    tenant.wait_ready()
    tenant.log_in_as_admin()
    tenant.push("kept/app:stays")
    pod = tenant.pod()
    with steady(tenant, folder) as load:
        load.wait_for("push", "ok")
        yield load
        load.wait_for("push", "ok")
        load.wait_for("pull", "ok")
    assert [line for line in load.lines() if line["outcome"] != "ok"] == []
    print(f"{len(load.lines())} pushes and pulls, none failed")  # noqa: T201  # the figure is the point
    after = tenant.pod()
    assert after["metadata"]["uid"] == pod["metadata"]["uid"]
    assert after["status"]["containerStatuses"][0]["restartCount"] == 0


def served(tenant: Tenant) -> str:
    return str((tenant.get("registry", "team") or {})["status"]["certificate"]["sha256"])


@pytest.mark.usefixtures("short_overlap")
def test_everything_that_is_trusted_changes_under_one_traffic(
    new_tenant: Callable[[], Tenant], tmp_path: Path
) -> None:
    tenant, consumer = new_tenant(), new_tenant()
    with unharmed(tenant, tmp_path):
        renew_certificate(tenant)
        change_users_and_rules(tenant)
        give_and_take_access(tenant, consumer)
        tenant.wait_ready()
        replace_authority(tenant)


def renew_certificate(tenant: Tenant) -> None:
    before = served(tenant)
    tenant.kubectl("delete", "secret", "team-tls")
    until(lambda: served(tenant), lambda now: now != before)
    tenant.wait_ready()


def change_users_and_rules(tenant: Tenant) -> None:
    """Add a user, and narrow the rule; he may do what the rule says, and no more, in time."""
    tenant.apply(access=ci_pulls("kept/**", "load/**"))
    until(lambda: may_pull(tenant, f"ci:{password(tenant)}"), bool)
    user = f"ci:{password(tenant)}"
    shuts_out(lambda: tenant.apply(access=ci_pulls("load/**")), lambda: may_pull(tenant, user))
    assert status(tenant, user) == 200  # he is a user still


def ci_pulls(*repositories: str) -> dict[str, Any]:
    rule = {"users": ["ci"], "repositories": [*repositories], "actions": ["pull"]}
    return {"users": [{"name": "ci"}], "rules": [rule]}


def give_and_take_access(owner: Tenant, consumer: Tenant) -> None:
    """Allow another namespace to pull, and take that back; it is out in time."""
    owner.apply(consumers=[named(consumer, "kept/**")])
    answer = consumer.cluster.apply(asked(owner, consumer, "kept/*"))
    assert answer.code == 0, answer.err
    until(lambda: reason(consumer), lambda found: found == "Granted")
    theirs = login(consumer)
    assert may_pull(owner, theirs)
    shuts_out(lambda: owner.apply(consumers=[]), lambda: may_pull(owner, theirs))


def shuts_out(change: Callable[[], object], is_in: Callable[[], bool]) -> None:
    seconds = took(change, lambda: not is_in())
    print(f"shut out after {seconds:.1f} s")  # noqa: T201  # the figure is the point
    assert seconds < AIM * BUSY


def replace_authority(tenant: Tenant) -> None:
    cluster, trust = tenant.cluster, Trust(tenant)
    old = authority(cluster)["tls.crt"]
    rotate = {"metadata": {"annotations": {"cais.dev/rotate": "now"}}}
    patch = ("patch", "secret", "cais-ca", "--type=merge", "-p", json.dumps(rotate))
    cluster.kubectl("-n", SYSTEM, *patch)
    until(trust.follow, lambda ca: "next.crt" in ca)
    until(trust.follow, lambda ca: ca["tls.crt"] != old)
    until(trust.follow, lambda ca: "previous.crt" not in ca, seconds=300)
    until(lambda: (trust.follow(), tenant.bundle())[1], lambda text: text.count("BEGIN") == 1)
    tenant.wait_ready()
    tenant.trust()  # what is left of the old CA is nowhere believed
