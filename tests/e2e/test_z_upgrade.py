# SPDX-License-Identifier: Apache-2.0
"""The chart is upgraded and rolled back as docs/upgrading.md says, beside pushes and pulls."""

import json
import shlex
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from demo.place import ROOT
from e2e.kit import Cluster, Tenant, until
from e2e.readme import blocks
from e2e.traffic import Load, steady

MARK = "cais.dev/restarted"
# a pod of another template, of the same image: it is on the node already
OTHER = ("--set", "image.pullPolicy=Never", "--set", "rollout.maxConcurrent=1")
GRACE = 10.0  # seconds until the network knows of a new pod
LONGEST = 60.0  # seconds that one registry may be away


def commands() -> dict[str, list[str]]:
    """What the page tells people to type, by the second word."""
    (lines,) = blocks((ROOT / "docs" / "upgrading.md").read_text(), "In short")
    return {words[1]: words for words in map(shlex.split, lines)}


class Release:
    """The chart's release; whoever upgrades it goes back at the end, whatever happens."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._is_upgraded = False

    def upgrade(self) -> None:
        self._is_upgraded = True
        self._cluster.must(*commands()["upgrade"], *OTHER)

    def roll_back(self) -> None:
        if self._is_upgraded:
            self._cluster.must(*commands()["rollback"])
        self._is_upgraded = False


@pytest.fixture
def release(cluster: Cluster) -> Iterator[Release]:
    found = Release(cluster)
    yield found
    found.roll_back()


def deployment(tenant: Tenant) -> dict[str, Any]:
    found = tenant.get("deployment", tenant.name)
    assert found
    return found


def mark(tenant: Tenant) -> str:
    return str(deployment(tenant)["metadata"].get("annotations", {}).get(MARK, ""))


def ready_since(tenant: Tenant) -> float:
    conditions = tenant.pod()["status"]["conditions"]
    (since,) = (one["lastTransitionTime"] for one in conditions if one["type"] == "Ready")
    return datetime.fromisoformat(since).timestamp()


def wait_replaced(tenant: Tenant, before: str) -> None:
    """Until the newest template runs, by a turn that began later than the one before."""

    def settled() -> tuple[str, dict[str, Any], int]:
        live = deployment(tenant)
        status, newest = live.get("status", {}), live["metadata"]["generation"]
        return mark(tenant), status, newest

    until(
        settled,
        lambda now: (
            now[0] > before
            and now[1].get("observedGeneration", 0) >= now[2]
            and now[1].get("availableReplicas") == 1
            and now[1].get("updatedReplicas") == 1
        ),
        seconds=240,
    )
    tenant.wait_ready()


def told(tenant: Tenant) -> list[str]:
    found = json.loads(tenant.kubectl("get", "events", "-o", "json"))["items"]
    return [one["message"] for one in found if one["reason"] == "RestartForUpgrade"]


def assert_only_the_gap_failed(load: Load, tenant: Tenant) -> None:
    """What failed was begun while the pod was replaced; what was acknowledged is there."""
    began, ended = datetime.fromisoformat(mark(tenant)).timestamp(), ready_since(tenant)
    failed, lines = load.failed(), load.lines()
    assert [one for one in failed if not began - LONGEST < one["at"] < ended + GRACE] == []
    assert ended - began < LONGEST
    gap = f"{len(failed)} of {len(lines)} failed in {ended - began:.0f} s"
    print(f"an upgrade beside pushes and pulls: {gap}")  # noqa: T201  # the figures are the point
    good = [one for one in lines if one["what"] == "push" and one["outcome"] == "ok"]
    assert len(pushed(tenant)) >= len(good)


def assert_in_turn(*tenants: Tenant) -> None:
    """Whoever was second began when the other one was ready; each said why, once."""
    (_, first), (began, _) = sorted((mark(one), one.namespace) for one in tenants)
    (earlier,) = (one for one in tenants if one.namespace == first)
    assert datetime.fromisoformat(began).timestamp() >= ready_since(earlier) - 1
    for tenant in tenants:
        (message,) = told(tenant)
        assert "for an upgrade: operator" in message


def pushed(tenant: Tenant) -> set[str]:
    user = "admin:" + tenant.secret("team-admin", "password")
    return set(tenant.ask("/v2/load/app/tags/list?n=10000", user=user)[1].get("tags") or ())


def test_an_upgrade_restarts_servers_in_turn_under_traffic_and_can_be_taken_back(
    new_tenant: Callable[[], Tenant], release: Release, tmp_path: Path
) -> None:
    both = (new_tenant(), new_tenant())
    first = both[0]
    for tenant in both:
        tenant.apply()
    for tenant in both:
        tenant.wait_ready()
    first.log_in_as_admin()
    first.push("kept/app:stays")
    with steady(first, tmp_path) as load:
        load.wait_for("push", "ok")
        old = first.pod()["metadata"]["uid"]
        release.upgrade()
        for tenant in both:
            wait_replaced(tenant, "")
        load.wait_for("push", "ok")
        load.wait_for("pull", "ok")
    assert first.pod()["metadata"]["uid"] != old
    assert first.pod()["spec"]["containers"][0]["imagePullPolicy"] == "Never"
    assert_only_the_gap_failed(load, first)
    assert_in_turn(*both)
    kept, marks = pushed(first), [mark(tenant) for tenant in both]
    release.roll_back()
    for tenant, before in zip(both, marks, strict=True):
        wait_replaced(tenant, before)
        assert tenant.pod()["spec"]["containers"][0]["imagePullPolicy"] != "Never"
    assert pushed(first) == kept
    assert first.digest("kept/app:stays")
    assert "VERSION" in first.cluster.must(*commands()["get"])


def test_a_registry_that_is_pinned_to_what_runs_is_not_restarted(tenant: Tenant) -> None:
    tenant.apply()
    runs = str(tenant.wait_ready()["status"]["version"])
    pod = tenant.pod()
    tag = pod["spec"]["containers"][0]["image"].rpartition(":")[2]
    assert tag.startswith(runs)  # with a digest behind it: each build is an image of its own
    tenant.apply(version=tag)
    tenant.wait_ready()
    assert tenant.pod()["metadata"]["uid"] == pod["metadata"]["uid"]
