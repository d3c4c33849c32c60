# SPDX-License-Identifier: Apache-2.0
from typing import Any

import pytest

from cais_operator import servers, status
from cais_operator.observed import Observed, ServerState
from operator_builders import NOW, registry
from support.crd_storage_cases import bucket
from support.observing import WANTED, children_of, conditions_of, message_of, server_of


def _pod(ready: str = "True", **status: Any) -> dict[str, Any]:
    conditions = [{"type": "Ready", "status": ready}]
    return {
        "metadata": {"name": "team-1"},
        "status": {"podIP": "10.0.0.1", "conditions": conditions, **status},
    }


def test_only_a_pod_that_clients_are_led_to_serves() -> None:
    assert servers.serves(_pod())
    assert not servers.serves(_pod("False"))
    assert not servers.serves(_pod(podIP=""))
    assert not servers.serves({"metadata": {"name": "team-1"}})
    leaving = _pod()
    leaving["metadata"]["deletionTimestamp"] = "2026-03-01T12:00:00Z"
    assert not servers.serves(leaving)


def test_together_they_have_loaded_what_all_of_them_have() -> None:
    one = ServerState(files={"a": "1", "b": "2"}, usage={"bytes": 1}, retention_problems=("x",))
    two = ServerState(files={"a": "1", "b": "3", "c": "4"}, retention_problems=("x", "y"))
    found = servers.together({"team-1": one, "team-2": two})
    assert found is not None
    assert (found.files, found.usage) == ({"a": "1"}, {"bytes": 1})
    assert (found.config_error, found.retention_problems) == (None, ("x", "y"))
    assert servers.together({"team-1": one}) == one
    assert servers.together({}) is None


def test_one_that_does_not_answer_or_refuses_is_named() -> None:
    good, refused = ServerState(files={"a": "1"}), ServerState(config_error="no such rule")
    silent = ServerState(error="refused", is_untrusted=True)
    found = servers.together({"team-1": good, "team-2": refused})
    assert found is not None
    assert found.config_error == "pod team-2: no such rule"
    found = servers.together({"team-1": good, "team-2": silent})
    assert found is not None
    assert (found.error, found.is_untrusted, found.files) == ("pod team-2: refused", True, {})


def _said(*pods: dict[str, Any], **counts: int) -> dict[str, Any]:
    counted = {"replicas": 3, "updatedReplicas": 3, "availableReplicas": 3, **counts}
    deployment = {"metadata": {"generation": 1}, "status": {"observedGeneration": 1, **counted}}
    observed = Observed(
        children=children_of(deployment=deployment, claim=None),
        wanted_files=WANTED,
        server=server_of(),
        pods=pods,
    )
    return status.of(registry(bucket(replicas=3)), observed, (), NOW)


def test_three_servers_that_all_serve_are_ready() -> None:
    found = conditions_of(_said())
    assert found["Ready"] == ("True", "Serving")
    assert found["StorageReady"] == ("True", "Reached")


@pytest.mark.parametrize(
    ("counts", "reason", "words"),
    [
        ({"replicas": 4, "updatedReplicas": 1}, "RollingOut", "1 of 4 servers are of the new kind"),
        ({"availableReplicas": 2}, "ServersMissing", "2 of 3 servers are ready"),
        ({"replicas": 2, "updatedReplicas": 2, "availableReplicas": 2}, "ServersMissing", "2 of 3"),
    ],
)
def test_what_lacks_of_several_servers_is_told(
    counts: dict[str, int], reason: str, words: str
) -> None:
    found = _said(**counts)
    assert conditions_of(found)["Ready"] == ("False", reason)
    assert "Reconciling" in conditions_of(found)
    assert words in message_of(found, "Ready")


def test_a_bucket_that_no_server_reaches_is_told_before_anything_else() -> None:
    container = {"name": "registry", "started": True, "ready": False}
    found = _said({"status": {"containerStatuses": [container]}}, availableReplicas=0)
    assert conditions_of(found)["Ready"] == ("False", "NotReached")
    assert "bucket images/team-a/team or the database" in message_of(found, "Ready")


def test_why_no_server_runs_is_told_before_what_it_would_reach() -> None:
    waiting = {"state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}}
    found = _said({"status": {"containerStatuses": [waiting]}}, availableReplicas=0)
    assert conditions_of(found)["Ready"] == ("False", "PodNotReady")
    assert conditions_of(found)["StorageReady"] == ("Unknown", "NoServer")
