# SPDX-License-Identifier: Apache-2.0
from datetime import timedelta
from typing import Any

import pytest

from cais_operator import status
from cais_operator.observed import Observed, ServerState
from operator_builders import NOW, registry
from support.observing import (
    FAILED,
    PROBLEM,
    USAGE,
    WANTED,
    children_of,
    claim_of,
    conditions_of,
    deployment_of,
    message_of,
    observed_of,
    server_of,
)


def test_a_registry_that_does_what_it_should_is_ready_and_nothing_else() -> None:
    found = status.of(registry(generation=3), observed_of(), (), NOW)
    assert conditions_of(found) == {
        "Ready": ("True", "Serving"),
        "StorageReady": ("True", "Bound"),
        "CertificateReady": ("True", "Issued"),
        "ServerReady": ("True", "Serving"),
        "Writable": ("True", "Writable"),
        "GarbageCollected": ("True", "Succeeded"),
        "StoragePressure": ("False", "AmpleRoom"),
    }
    assert found["observedGeneration"] == 3
    assert {one["observedGeneration"] for one in found["conditions"]} == {3}


def test_the_facts_are_what_clients_need() -> None:
    found = status.of(registry(), observed_of(), (), NOW)
    assert found["url"] == "https://team.team-a.svc:5000"
    assert found["endpoints"] == {"push": "team.team-a.svc:5000", "pull": "team.team-a.svc:5000"}
    assert found["clusterIP"] == "10.96.7.7"
    assert found["pullSecretName"] == "team-pull"
    assert found["caBundle"]["configMapName"] == "team-ca"
    assert len(found["caBundle"]["sha256"]) == 64
    assert found["certificate"]["notAfter"] == "2026-05-30T12:00:00Z"
    assert found["certificate"]["renewAt"] == "2026-04-30T12:00:00Z"
    assert found["storage"] == {
        "claimName": "team-data",
        "requested": "10Gi",
        "capacity": "10Gi",
        "used": "4.8Mi",
    }
    assert found["garbageCollection"] == {
        "lastRunTime": "2026-03-01T03:17:02Z",
        "lastSuccessTime": "2026-03-01T03:17:02Z",
        "durationSeconds": 2.4,
        "blobsDeleted": 4,
        "bytesReclaimed": 4096,
        "bytesReclaimable": 1_000_448,
        "nextRunTime": "2026-03-02T03:17:00Z",
        "lastDryRun": {
            "time": "2026-03-01T03:17:02Z",
            "state": "Succeeded",
            "message": "would delete 2 manifests",
        },
    }
    assert found["usage"] == {
        "repositories": 2,
        "tags": 3,
        "bytes": 5_005_312,
        "bytesReclaimable": 1_000_448,
        "observedTime": "2026-03-01T12:00:00Z",
    }


def test_a_node_port_with_a_host_name_is_where_clients_push() -> None:
    spec = {"expose": {"type": "NodePort", "hostnames": ["registry.example.com"]}}
    service = {"spec": {"clusterIP": "10.96.7.7", "ports": [{"port": 5000, "nodePort": 30500}]}}
    found = status.of(registry(spec), observed_of(service=service), (), NOW)
    assert found["url"] == "https://registry.example.com:30500"
    assert found["endpoints"]["pull"] == "team.team-a.svc:5000"


PENDING = {"status": {"containerStatuses": [{"state": {"waiting": {
    "reason": "ImagePullBackOff", "message": "no such image"}}}]}}  # fmt: skip
UNSCHEDULED = {"status": {"conditions": [{
    "type": "PodScheduled", "status": "False", "reason": "Unschedulable",
    "message": "no node has room"}]}}  # fmt: skip


@pytest.mark.parametrize(
    ("observed", "kind", "reason", "message"),
    [
        (
            observed_of(claim=None),
            "StorageReady",
            "ClaimMissing",
            "the claim team-data is not there",
        ),
        (
            observed_of(claim=claim_of("Pending", None, storageClassName="fast")),
            "StorageReady",
            "ClaimPending",
            "the claim team-data waits for a volume of storage class fast",
        ),
        (
            observed_of(claim=claim_of("Lost")),
            "StorageReady",
            "ClaimLost",
            "restore the Persistent",
        ),
        (
            observed_of(claim=claim_of(capacity="5Gi")),
            "StorageReady",
            "Resizing",
            "the volume of claim team-data grows from 5Gi to 10Gi",
        ),
        (observed_of(tls=None), "CertificateReady", "Missing", "holds no certificate yet"),
        (observed_of(tls={"data": {}}), "CertificateReady", "Missing", "holds no certificate yet"),
        (observed_of(service=None), "ServerReady", "NoAddress", "the Service team has no address"),
        (
            observed_of(deployment=None),
            "ServerReady",
            "DeploymentMissing",
            "the Deployment team is not there yet",
        ),
        (
            observed_of(deployment=deployment_of(2, 1)),
            "ServerReady",
            "DeploymentUpdating",
            "not seen",
        ),
        (
            observed_of(deployment=deployment_of(available=0)),
            "ServerReady",
            "PodStarting",
            "starting",
        ),
        (
            observed_of(server=ServerState(error="connection refused")),
            "ServerReady",
            "Unreachable",
            "does not answer at https://team.team-a.svc:5000: connection refused",
        ),
        (
            observed_of(server=server_of(config_error="unknown key x")),
            "ServerReady",
            "ConfigurationRefused",
            "keeps its old configuration: unknown key x",
        ),
        (
            observed_of(server=server_of(files={**WANTED, "/etc/cais/users/htpasswd": "old"})),
            "ServerReady",
            "ConfigurationLoading",
            "the server has not loaded htpasswd yet",
        ),
        (
            Observed(children=children_of(), wanted_files=WANTED),
            "ServerReady",
            "NotAsked",
            "has not been asked",
        ),
        (
            Observed(children=children_of(), server=server_of()),
            "ServerReady",
            "ConfigurationLoading",
            "has not loaded its configuration yet",
        ),
        (
            Observed(children=children_of(deployment=deployment_of(available=0)), pods=(PENDING,)),
            "ServerReady",
            "PodNotReady",
            "the server's pod is not ready: ImagePullBackOff: no such image",
        ),
        (
            Observed(
                children=children_of(deployment=deployment_of(available=0)), pods=(UNSCHEDULED,)
            ),
            "ServerReady",
            "PodNotReady",
            "the server's pod is not ready: Unschedulable: no node has room",
        ),
    ],
)
def test_what_is_missing_is_the_reason_of_ready(
    observed: Observed, kind: str, reason: str, message: str
) -> None:
    found = status.of(registry(), observed, (), NOW)
    conditions = conditions_of(found)
    assert conditions[kind] == conditions["Ready"] == ("False", reason)
    assert message in message_of(found, kind)
    assert message_of(found, "Ready") == message_of(found, kind)
    assert "Stalled" not in conditions
    assert ("Reconciling" in conditions) == (reason != "ClaimLost")


def test_an_expired_certificate_is_said() -> None:
    found = status.of(registry(), observed_of(), (), NOW + timedelta(days=91))
    assert conditions_of(found)["Ready"] == ("False", "Expired")


def test_a_full_disk_is_not_ready_and_nobody_is_on_the_way_to_help() -> None:
    full = {**USAGE, "disk": {"capacity": 1 << 30, "available": 0}}
    found = status.of(registry(), observed_of(server=server_of(usage=full)), (), NOW)
    conditions = conditions_of(found)
    assert conditions["Writable"] == conditions["Ready"] == ("False", "DiskFull")
    assert "Reconciling" not in conditions
    assert "spec.storage.volume.size" in message_of(found, "Writable")


def _usage(used: int, limit: int | None, available: int = 1 << 30) -> ServerState:
    disk = {"capacity": 1 << 30, "available": available}
    return server_of(usage={**USAGE, "disk": disk, "quota": {"used": used, "limit": limit}})


@pytest.mark.parametrize(
    ("spec", "server", "reason", "is_ready"),
    [
        ({"readOnly": True}, _usage(0, None), "ReadOnly", True),
        ({"readOnly": True}, _usage(0, None, available=0), "ReadOnly", True),
        ({"quota": "1Gi"}, _usage(1 << 30, 1 << 30), "QuotaExceeded", True),
        ({"quota": "1Gi"}, _usage(2 << 30, 1 << 30), "QuotaExceeded", True),
        ({"quota": "1Gi"}, _usage((1 << 30) - (1 << 20) + 1, 1 << 30), "QuotaExceeded", True),
        ({"quota": "1k"}, _usage(1000, 1000), "QuotaExceeded", True),
        ({"quota": "1Gi"}, _usage(1 << 30, 1 << 30, available=0), "DiskFull", False),
    ],
)
def test_what_the_spec_asks_for_stops_pushes_and_leaves_ready_alone(
    spec: dict[str, Any], server: ServerState, reason: str, is_ready: bool
) -> None:
    found = status.of(registry(spec), observed_of(server=server), (), NOW)
    conditions = conditions_of(found)
    assert conditions["Writable"] == ("False", reason)
    assert conditions["Ready"] == (("True", "Serving") if is_ready else ("False", reason))
    assert "Reconciling" not in conditions


@pytest.mark.parametrize(
    ("spec", "server"),
    [
        ({"quota": "1Gi"}, _usage((1 << 30) - (1 << 20), 1 << 30)),
        ({"quota": "1k"}, _usage(900, 1000)),
        ({}, _usage(1 << 40, None)),
        ({"quota": "1Gi"}, server_of()),  # a server of the version before
    ],
)
def test_a_quota_with_room_in_it_is_no_reason(spec: dict[str, Any], server: ServerState) -> None:
    found = status.of(registry(spec), observed_of(server=server), (), NOW)
    assert conditions_of(found)["Writable"] == ("True", "Writable")


def test_a_used_up_quota_says_what_to_do_and_how_much_there_is() -> None:
    server = _usage(1 << 30, 1 << 30)
    found = status.of(registry({"quota": "1024Mi"}), observed_of(server=server), (), NOW)
    assert "the quota of 1Gi is used up" in message_of(found, "Writable")
    assert "spec.quota is raised" in message_of(found, "Writable")
    assert found["quota"] == {"limit": "1Gi", "used": "4.8Mi"}
    assert "quota" not in status.of(registry(), observed_of(server=server), (), NOW)


def test_a_failed_garbage_collection_leaves_ready_alone() -> None:
    failed = server_of(gc={"last": FAILED, "lastSuccess": None})
    found = status.of(registry(), observed_of(server=failed), (), NOW)
    assert conditions_of(found)["GarbageCollected"] == ("False", "Failed")
    assert "the disk went away" in message_of(found, "GarbageCollected")
    assert conditions_of(found)["Ready"] == ("True", "Serving")
    assert "lastSuccessTime" not in found["garbageCollection"]


def test_a_registry_that_never_ran_garbage_collection_says_nothing_of_it() -> None:
    fresh = server_of(gc={"last": None, "lastSuccess": None})
    found = status.of(registry(), observed_of(server=fresh), (), NOW)
    assert "GarbageCollected" not in conditions_of(found)


def test_problems_stall_and_name_field_value_and_rule() -> None:
    found = status.of(registry(), observed_of(), (PROBLEM, PROBLEM), NOW)
    conditions = conditions_of(found)
    assert conditions["Ready"] == ("False", "InvalidSpec")
    assert conditions["Stalled"] == ("True", "InvalidSpec")
    assert "Reconciling" not in conditions
    assert message_of(found, "Stalled") == 'spec.a is "b": must be c; spec.a is "b": must be c'


def test_the_words_of_the_api_server_are_shown() -> None:
    refused = Observed(children=children_of(), rejected="CronJob team-a/team-gc: unknown time zone")
    found = status.of(registry(), refused, (), NOW)
    assert conditions_of(found)["Stalled"] == ("True", "Rejected")
    assert "unknown time zone" in message_of(found, "Ready")


def test_a_paused_registry_says_so() -> None:
    paused = registry({"paused": True})
    found = status.of(paused, observed_of(), (), NOW)
    assert message_of(found, "Ready").endswith("; paused: the operator changes nothing")
    waiting = status.of(paused, observed_of(deployment=None), (), NOW)
    assert "Reconciling" not in conditions_of(waiting)
