# SPDX-License-Identifier: Apache-2.0
from typing import Any

from cais_operator import names
from cais_operator.cluster import Pods
from cais_operator.resource import Key

KEY = Key("team-a", "team")
PULLS = {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}


def pod(name: str = "team-0", state: dict[str, Any] | None = None) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "team-a", "labels": {names.INSTANCE: "team"}}
    statuses = [{"state": state or {"running": {"startedAt": "now"}}, "image": "x" * 100}]
    return {"metadata": metadata, "status": {"containerStatuses": statuses, "podIP": "10.0.0.7"}}


def test_only_why_a_pod_waits_is_kept_and_told() -> None:
    pods = Pods()
    assert pods.put(pod()) == KEY
    assert pods.put({**pod(), "spec": {"nodeName": "n"}}) is None
    assert pods.put(pod(state=PULLS)) == KEY
    assert pods.put(pod(state=PULLS)) is None
    (kept,) = pods.of(KEY)
    assert kept["status"] == {"containerStatuses": [{"state": PULLS}], "conditions": []}


def test_that_a_server_has_started_and_is_not_ready_is_kept_and_told() -> None:
    pods = Pods()
    live = pod()
    live["status"]["containerStatuses"][0] |= {"started": True, "ready": False}
    assert pods.put(live) == KEY
    (kept,) = pods.of(KEY)
    assert kept["status"]["containerStatuses"] == [{"started": True, "ready": False}]
    live["status"]["containerStatuses"][0]["ready"] = True
    assert pods.put(live) == KEY
    (kept,) = pods.of(KEY)
    assert kept["status"]["containerStatuses"] == []


def test_pods_that_are_gone_are_forgotten() -> None:
    pods = Pods()
    for name in ("team-0", "team-1"):
        pods.put(pod(name))
    pods.drop(pod("team-0"))
    assert [one["metadata"]["name"] for one in pods.of(KEY)] == ["team-1"]
    assert pods.listed(None, [pod("team-2")]) == {KEY}
    assert [one["metadata"]["name"] for one in pods.of(KEY)] == ["team-2"]
    assert pods.listed("team-b", []) == set()
    assert pods.of(KEY)
    assert pods.listed("team-a", []) == set()
    assert not pods.of(KEY)


def test_a_pod_without_an_owner_is_nobodys() -> None:
    pods = Pods()
    live = pod()
    live["metadata"]["labels"] = {}
    assert pods.put(live) is None
    pods.drop(live)
